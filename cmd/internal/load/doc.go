// Package load drives a lock service with closed-loop load and measures it: so many clients, each
// of which begins an operation when its last one has ended. The loop is the same for every system,
// so that their figures can be compared.
//
// A slice is one measurement of one system. It warms up, then the clock runs. An operation counts
// if it ends while the clock runs; what is under way at the end is cut off, and shows in the
// longest latency only. What keeps records is measured whole instead: the clock stops when the last
// section is published and every file has been read back.
package load
