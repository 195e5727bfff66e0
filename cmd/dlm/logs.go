package main

import (
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/damp"
)

// logs are the server's two loggers, one stream: etcd speaks zap, all else slog.
type logs struct {
	own   *slog.Logger
	etcd  *zap.Logger
	level zap.AtomicLevel
	sink  *sink
	damp  *damp.Damper // in front of the sink

	stopping *atomic.Bool // etcd was told to stop
}

// newLogs makes them. The level is debug, info, warn or error; the format is text, json or auto,
// which is text for a terminal and JSON otherwise. What etcd logs of its daily work is shown at
// level debug only. Of lines that come again and again only some are written, see package damp.
func newLogs(to *os.File, level, format string) (logs, error) {
	l := logs{level: zap.NewAtomicLevel(), stopping: &atomic.Bool{}}
	if err := l.setLevel(level); err != nil {
		return logs{}, err
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	encoding.NameKey = "component"
	var encoder zapcore.Encoder
	if format == "json" || format == "auto" && !term.IsTerminal(int(to.Fd())) {
		encoder = zapcore.NewJSONEncoder(encoding)
	} else {
		encoding.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		encoding.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	l.sink = newSink(to)
	l.damp = damp.New(zapcore.NewCore(encoder, l.sink, l.level))
	l.own = slog.New(zapslog.NewHandler(l.damp, zapslog.AddStacktraceAt(slog.LevelError+1))) // that is, never
	l.etcd = zap.New(quiet{l.damp, l.stopping}).Named("etcd")
	l.sink.lost = func(lines int) { l.own.Warn("lines of the log were lost: nobody read them in time", "lines", lines) }
	return l, nil
}

// close writes what is left to be written. Nothing may be logged afterwards.
func (l logs) close() {
	l.damp.Close()
	l.sink.close()
}

func (l logs) setLevel(level string) error {
	least, err := zapcore.ParseLevel(level)
	if err != nil {
		return fmt.Errorf("%w: log.level: %w", errConfig, err)
	}
	l.level.SetLevel(least)
	return nil
}

// etcdStops has all that etcd does not die of be left out: while it stops, it takes its own doing
// for failures.
func (l logs) etcdStops() { l.stopping.Store(true) }

// quiet lets through what an operator should look into: etcd's warnings and errors, but for those
// for which there is no use here: about ports and tokens, which it logs at every start, and about
// each single call of an external etcd that failed, of which the store says what there is to say.
// At level debug it lets more through: what etcd says of its daily work, but never its own lines of
// that level, which have whole requests in them, and so records and credentials.
type quiet struct {
	zapcore.Core
	stopping *atomic.Bool
}

func (q quiet) Enabled(level zapcore.Level) bool {
	return q.Core.Enabled(level) && (level >= zapcore.WarnLevel || level >= zapcore.InfoLevel && q.Core.Enabled(zapcore.DebugLevel))
}

func (q quiet) With(fields []zapcore.Field) zapcore.Core {
	return quiet{q.Core.With(fields), q.stopping}
}

func (q quiet) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	switch {
	case !q.Enabled(entry.Level):
		return checked
	case q.Core.Enabled(zapcore.DebugLevel):
		return q.Core.Check(entry, checked)
	case q.stopping.Load() && entry.Level < zapcore.DPanicLevel,
		entry.Message == "Running http and grpc server on single port. This is not recommended for production.",
		entry.Message == "simple token is not cryptographically signed",
		entry.Message == "retrying of unary invoker failed":
		return checked
	}
	return q.Core.Check(entry, checked)
}
