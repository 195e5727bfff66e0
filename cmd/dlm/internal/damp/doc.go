// Package damp keeps a log readable, and its disk from filling, when something is logged again and
// again: of lines of one kind only so many are written in a second, and the others are counted, and
// told in one line. The first of each kind is always written.
//
// Two lines are of one kind if they have the same level, logger and message, and the same method,
// code and reason among their attributes. What is logged at level debug was asked for, and is not
// damped; nor is what the process dies of.
package damp
