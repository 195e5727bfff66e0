package heap

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Roomy lets the heap grow to floor bytes from now on before it is collected, if twice what is
// alive is less. Of what is alive beyond floor each byte lets it grow by two, not by one as Go
// would, until that is 32 MiB more. GOGC, if set, has its way; so has GOMEMLIMIT, which
// Go puts above any percentage. It is for a program's main, once.
func Roomy(floor uint64) {
	if os.Getenv("GOGC") == "" {
		adjust(floor)
	}
}

// adjust sets the percentage after each collection: it is then that a cleanup of what only the last
// one found runs.
func adjust(floor uint64) {
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(heap)
	want, is := percent(heap[0].Value.Uint64(), floor), int(heap[1].Value.Uint64())
	if 10*max(want-is, is-want) > is { // each change stops the world
		debug.SetGCPercent(want)
	}
	runtime.AddCleanup(new([16]byte), adjust, floor)
}

// moreRoom bounds by how much a large heap may grow beyond what Go would allow: so that a burst
// does not take three times what it needs.
const moreRoom = 32 << 20

// percent is by how much of what is alive the heap may grow.
func percent(live, floor uint64) int {
	const minimum = 4 << 20 // what is alive, if it is less
	live = max(live, minimum)
	most := max(floor, 2*live) + min(max(live, floor)-floor, moreRoom)
	return int(100*most/live) - 100
}
