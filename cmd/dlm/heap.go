package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapFloor is how large the heap may grow before it is collected, if twice what is alive is less: a server with few
// sessions would otherwise collect its some 10 MB many times a second. A larger one is collected when Go would. With more
// than this, memory for ten thousand waiters grew beyond what they need.
const heapFloor = 40 << 20

// roomyHeap sees to heapFloor from now on. GOGC, if set, has its way; so has GOMEMLIMIT, which Go puts above any percentage.
func roomyHeap() {
	if os.Getenv("GOGC") == "" {
		adjustHeap(struct{}{})
	}
}

// adjustHeap sets the percentage after each collection: it is then that a cleanup of what only the last one found runs.
func adjustHeap(struct{}) {
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(heap)
	want, is := heapPercent(heap[0].Value.Uint64()), int(heap[1].Value.Uint64())
	if 10*max(want-is, is-want) > is { // each change stops the world
		debug.SetGCPercent(want)
	}
	runtime.AddCleanup(new([16]byte), adjustHeap, struct{}{})
}

// heapPercent is by how much of what is alive the heap may grow.
func heapPercent(live uint64) int {
	const (
		least   = 100     // Go's own
		minimum = 4 << 20 // so much may grow by that percentage if less is alive
	)
	live = max(live, minimum)
	return max(least, int(100*heapFloor/live)-100)
}
