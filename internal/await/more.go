package await

import (
	"flag"
	"strconv"
)

// AtATime has n parallel tests run at a time, unless -test.parallel asks for another number. Go's
// own default is one for each processor, and tests that wait most of the time, for a lease's end or
// a process, take none. It is for TestMain, and parses the flags.
func AtATime(n int) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if asked {
		return
	}
	if err := flag.Set("test.parallel", strconv.Itoa(n)); err != nil {
		panic(err)
	}
}
