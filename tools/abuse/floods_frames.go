package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// idle opens connections that say who they are, and nothing else.
func idle(n int) func(context.Context, *flooder) (func(context.Context) error, error) {
	return func(_ context.Context, f *flooder) (func(context.Context) error, error) {
		return func(ctx context.Context) error {
			f.connections(ctx, n, wide, func(ctx context.Context, w *wire) error {
				f.tally.sent.Add(1)
				return w.hold(ctx)
			})
			return nil
		}, nil
	}
}

// garbage connects and sends what is no HTTP/2, or nothing, and leaves.
func garbage(_ context.Context, f *flooder) (func(context.Context) error, error) {
	one := func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", f.addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		f.tally.sent.Add(1)
		b := make([]byte, rand.IntN(64<<10))
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		start := []string{"", http2.ClientPreface, "GET / HTTP/1.1\r\n\r\n"}[rand.IntN(3)]
		_, err = conn.Write(append([]byte(start), b...))
		return err
	}
	return func(ctx context.Context) error {
		for ctx.Err() == nil {
			_ = one(ctx) // the server may end it at any time
		}
		return nil
	}, nil
}

// resets begins calls, some with all that they need, and takes them back.
func resets(_ context.Context, f *flooder) (func(context.Context) error, error) {
	inspect := encode(&dlmv1.InspectRequest{Lock: honestLock})
	return func(ctx context.Context) error {
		f.each(ctx, 4, 0, func(w *wire) error {
			for i := range 2 {
				id, err := w.open(dlmv1.LockService_Inspect_FullMethodName)
				if err == nil && i == 0 {
					err = w.send(id, inspect, true)
				}
				if err == nil || errors.Is(err, errOver) {
					err = w.reset(id)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		return nil
	}, nil
}

// again writes frames again and again on four connections.
func (f *flooder) again(ctx context.Context, frames func(w *wire) error) error {
	f.each(ctx, 4, 0, func(w *wire) error {
		f.tally.sent.Add(1)
		return w.write(func() error { return frames(w) })
	})
	return nil
}

func settingsFrames(_ context.Context, f *flooder) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		return f.again(ctx, func(w *wire) error {
			return w.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: rand.Uint32N(wide)})
		})
	}, nil
}

func pingFrames(_ context.Context, f *flooder) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		return f.again(ctx, func(w *wire) error { return w.framer.WritePing(false, [8]byte{1}) })
	}, nil
}

func continuations(_ context.Context, f *flooder) (func(context.Context) error, error) {
	piece := make([]byte, 16<<10)
	for i := 0; i < len(piece); i += 4 { // a literal field without a name of its own, of one byte
		copy(piece[i:], []byte{0x00, 0x01, 'a', 0x00})
	}
	return func(ctx context.Context) error {
		f.connections(ctx, 4, wide, func(ctx context.Context, w *wire) error {
			err := w.write(func() error {
				return w.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: piece})
			})
			for err == nil && ctx.Err() == nil {
				f.tally.sent.Add(1)
				err = w.write(func() error { return w.framer.WriteContinuation(1, false, piece) })
			}
			return err
		})
		return nil
	}, nil
}

func headers(_ context.Context, f *flooder) (func(context.Context) error, error) {
	large := hpack.HeaderField{Name: "large", Value: strings.Repeat("x", 15<<10), Sensitive: true}
	inspect := encode(&dlmv1.InspectRequest{Lock: honestLock})
	return func(ctx context.Context) error {
		f.each(ctx, 4, 50, func(w *wire) error { return w.call(dlmv1.LockService_Inspect_FullMethodName, inspect, large) })
		return nil
	}, nil
}

// disorder writes one frame that may not come now, waits for what the server makes of it, and
// begins anew.
func disorder(_ context.Context, f *flooder) (func(context.Context) error, error) {
	wrong := []func(w *wire) error{
		func(w *wire) error { return w.framer.WriteData(99, true, make([]byte, 100)) },                       // of no stream
		func(w *wire) error { return w.framer.WriteData(0, false, make([]byte, 100)) },                       // of the connection
		func(w *wire) error { return w.framer.WriteRSTStream(77, http2.ErrCodeCancel) },                      // of no stream
		func(w *wire) error { return w.framer.WriteWindowUpdate(0, 0) },                                      // by nothing
		func(w *wire) error { return w.framer.WriteWindowUpdate(0, wide) },                                   // by too much
		func(w *wire) error { return w.framer.WriteContinuation(1, true, nil) },                              // of no headers
		func(w *wire) error { return w.framer.WriteRawFrame(http2.FrameSettings, 0, 0, make([]byte, 5)) },    // not of six
		func(w *wire) error { return w.framer.WriteRawFrame(http2.FramePing, 0, 0, make([]byte, 7)) },        // not of eight
		func(w *wire) error { return w.framer.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 1<<20)) },    // too long
		func(w *wire) error { return w.framer.WriteRawFrame(http2.FrameHeaders, 4, 2, make([]byte, 10)) },    // of the server's
		func(w *wire) error { return w.framer.WriteRawFrame(http2.FrameType(200), 255, 1, make([]byte, 9)) }, // of no type
		func(w *wire) error { return w.framer.WriteGoAway(0, http2.ErrCodeNo, nil) },                         // and goes on
	}
	inspect := encode(&dlmv1.InspectRequest{Lock: honestLock})
	return func(ctx context.Context) error {
		f.connections(ctx, 4, wide, func(_ context.Context, w *wire) error {
			f.tally.sent.Add(1)
			if err := w.write(func() error { return wrong[rand.IntN(len(wrong))](w) }); err != nil {
				return err
			}
			w.most = 1
			for range 3 {
				if err := w.call(dlmv1.LockService_Inspect_FullMethodName, inspect); err != nil {
					return err
				}
			}
			return w.flush()
		})
		return nil
	}, nil
}

// undecodable sends messages that cannot be decoded, as calls, and among good ones on a stream.
func undecodable(_ context.Context, f *flooder) (func(context.Context) error, error) {
	bad := framed([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false)
	good := encode(&dlmv1.StreamRequest{Call: 1, Request: &dlmv1.StreamRequest_Inspect{Inspect: &dlmv1.InspectRequest{Lock: honestLock}}})
	return func(ctx context.Context) error {
		f.connections(ctx, 4, wide, func(ctx context.Context, w *wire) error {
			w.most = 20
			for ctx.Err() == nil {
				if err := w.call(dlmv1.LockService_Inspect_FullMethodName, bad); err != nil {
					return err
				}
				id, err := w.open(dlmv1.LockService_Stream_FullMethodName)
				if err == nil {
					err = w.send(id, append(append([]byte(nil), good...), bad...), true)
				}
				if err != nil && !errors.Is(err, errOver) {
					return err
				}
			}
			return nil
		})
		return nil
	}, nil
}
