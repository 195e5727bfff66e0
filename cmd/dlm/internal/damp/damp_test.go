package damp_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/damp"
)

// logger is a logger that is damped, and what it writes.
func logger() (*zap.Logger, *damp.Damper, *observer.ObservedLogs) {
	core, written := observer.New(zapcore.DebugLevel)
	damper := damp.New(core)
	return zap.New(damper), damper, written
}

// told is how many lines the lines that stand for others stand for, by what these are like.
func told(logs *observer.ObservedLogs) map[string]int64 {
	sums := map[string]int64{}
	for _, l := range logs.FilterMessage(damp.Left).All() {
		fields := l.ContextMap()
		sums[fields["like"].(string)] += fields["lines"].(int64)
	}
	return sums
}

// A flood of one kind is some lines and counts, which add up, also of what was last left out when
// it stops; lines of another kind are written as ever.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, damper, written := logger()
		const lines, seconds = 10000, 8
		for i := range lines {
			log.Warn("call", zap.String("method", "Append"), zap.String("code", "LOCK_EXPIRED"), zap.Int("i", i))
			if i%1000 == 0 {
				log.Warn("call", zap.String("method", "Commit"), zap.String("code", "LOCK_EXPIRED"))
				log.Error("call", zap.String("method", "Append"), zap.String("code", "LOCK_EXPIRED"))
			}
			<-time.After(seconds * time.Second / lines)
		}
		<-time.After(3 * time.Second)
		const like = "call method=Append code=LOCK_EXPIRED"
		direct := written.FilterMessage("call").FilterField(zap.String("method", "Append")).FilterLevelExact(zapcore.WarnLevel).Len()
		if want := damp.Burst + damp.Rate*seconds; direct < want-1 || direct > want+1 {
			t.Errorf("%d lines were written; want %d", direct, want)
		}
		if sums := told(written); len(sums) != 1 || sums[like]+int64(direct) != lines {
			t.Errorf("%d lines were written and %v told; want %d in all", direct, sums, lines)
		}
		if n := written.FilterMessage(damp.Left).Len(); n > seconds+1 {
			t.Errorf("the count was told %d times", n)
		}
		for _, l := range written.FilterMessage(damp.Left).All() {
			if l.Level != zapcore.WarnLevel {
				t.Errorf("a count was told at level %v", l.Level)
			}
		}
		if n := written.FilterField(zap.String("method", "Commit")).Len(); n != 10 {
			t.Errorf("%d lines of another kind; want 10", n)
		}
		if n := written.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 10 {
			t.Errorf("%d errors; want 10", n)
		}
		before := written.Len()
		damper.Close()
		if written.Len() != before {
			t.Error("Close told what had been told")
		}
	})
}

// What was left out last is told at the end.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, damper, written := logger()
		for range damp.Burst + 5 {
			log.Named("etcd").With(zap.String("reason", "full")).Info("again")
		}
		damper.Close()
		if got := told(written)["again reason=full"]; got != 5 {
			t.Errorf("%d lines were told; want 5", got)
		}
		for _, l := range written.FilterMessage(damp.Left).All() {
			if l.LoggerName != "etcd" || l.Level != zapcore.InfoLevel {
				t.Errorf("a count of %q at level %v", l.LoggerName, l.Level)
			}
		}
	})
}

// What was asked for is written.
func TestDebugIsNotDamped(t *testing.T) {
	log, damper, written := logger()
	defer damper.Close()
	for range 1000 {
		log.Debug("call")
	}
	if written.Len() != 1000 {
		t.Errorf("%d lines; want 1000", written.Len())
	}
}

// Whatever is logged, the memory for it is bounded, the first of a kind is written as long as there
// is room, and nothing goes uncounted.
func TestManyKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, damper, written := logger()
		const kinds = 5000
		for i := range kinds {
			log.Warn(fmt.Sprint("kind ", i))
		}
		damper.Close()
		direct, left := int64(0), int64(0)
		for _, l := range written.All() {
			if l.Message != damp.Left {
				direct++
			}
		}
		for _, n := range told(written) {
			left += n
		}
		if direct < 256 || direct > 300 || direct+left != kinds {
			t.Errorf("%d lines were written and %d told; want %d in all", direct, left, kinds)
		}
		<-time.After(10 * time.Second)
		log.Warn("a new kind")
		if n := written.FilterMessage("a new kind").Len(); n != 1 {
			t.Errorf("the first line of a new kind was written %d times", n)
		}
	})
}
