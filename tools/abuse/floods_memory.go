package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// largest is a request that a server of any limit up to 16 MiB takes.
const largest = 15 << 20

// emptyMessages returns a heartbeat of so many bytes: of nothing but empty acquisitions.
func emptyMessages(size int) []byte {
	const unfinishedField = 3
	one := protowire.AppendBytes(protowire.AppendTag(nil, unfinishedField, protowire.BytesType), nil)
	return bytes.Repeat(one, size/len(one))
}

// inStream returns a heartbeat as a message of a stream.
func inStream(heartbeat []byte) []byte {
	const callField, heartbeatField = 1, 3
	b := protowire.AppendVarint(protowire.AppendTag(nil, callField, protowire.VarintType), 1)
	return protowire.AppendBytes(protowire.AppendTag(b, heartbeatField, protowire.BytesType), heartbeat)
}

func gzipped(message []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(message); err != nil {
		panic(err) // a buffer takes everything
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return framed(b.Bytes(), true)
}

func asGzip() hpack.HeaderField { return hpack.HeaderField{Name: "grpc-encoding", Value: "gzip"} }

const bombSize = 16<<20 - 1024

func bombs(_ context.Context, f *flooder) (func(context.Context) error, error) {
	bomb := gzipped(emptyMessages(bombSize))
	return func(ctx context.Context) error {
		f.each(ctx, 4, 4, func(w *wire) error { return w.call(dlmv1.LockService_Heartbeat_FullMethodName, bomb, asGzip()) })
		return nil
	}, nil
}

func bombsInStream(_ context.Context, f *flooder) (func(context.Context) error, error) {
	bomb := gzipped(inStream(emptyMessages(bombSize)))
	return func(ctx context.Context) error { return f.messages(ctx, 4, wide, bomb, asGzip()) }, nil
}

func heartbeats(_ context.Context, f *flooder) (func(context.Context) error, error) {
	heartbeat := framed(emptyMessages(largest), false)
	return func(ctx context.Context) error {
		f.each(ctx, 4, 4, func(w *wire) error { return w.call(dlmv1.LockService_Heartbeat_FullMethodName, heartbeat) })
		return nil
	}, nil
}

func heartbeatsInStream(_ context.Context, f *flooder) (func(context.Context) error, error) {
	heartbeat := framed(inStream(emptyMessages(largest)), false)
	return func(ctx context.Context) error { return f.messages(ctx, 4, wide, heartbeat) }, nil
}

// messages sends one message again and again on streams, one on each of several connections.
func (f *flooder) messages(ctx context.Context, n int, window uint32, message []byte, fields ...hpack.HeaderField) error {
	f.streams(ctx, n, window, func(w *wire, id uint32) error {
		for ctx.Err() == nil {
			f.tally.sent.Add(1)
			if err := w.send(id, message, false); err != nil {
				return err
			}
		}
		return nil
	}, fields...)
	return nil
}

// streams opens a stream on each of several connections, and again where one has ended.
func (f *flooder) streams(ctx context.Context, n int, window uint32, on func(w *wire, id uint32) error, fields ...hpack.HeaderField) {
	f.connections(ctx, n, window, func(ctx context.Context, w *wire) error {
		for ctx.Err() == nil {
			id, err := w.open(dlmv1.LockService_Stream_FullMethodName, fields...)
			if err != nil {
				return err
			}
			if err := on(w, id); err != nil && !errors.Is(err, errOver) {
				return err
			}
		}
		return nil
	})
}

// unfinished leaves appends without their last byte.
func unfinished(connections, each int) func(context.Context, *flooder) (func(context.Context) error, error) {
	return func(_ context.Context, f *flooder) (func(context.Context) error, error) {
		whole := framed(make([]byte, largest), false)
		return func(ctx context.Context) error {
			f.connections(ctx, connections, wide, func(ctx context.Context, w *wire) error {
				var sending sync.WaitGroup
				for range each {
					sending.Go(func() {
						if id, err := w.open(dlmv1.LockService_Append_FullMethodName); err == nil {
							_ = w.send(id, whole[:len(whole)-1], false) // it is refused, or waits for room
						}
						_ = w.flush()
					})
				}
				err := w.hold(ctx)
				sending.Wait()
				return err
			})
			return nil
		}, nil
	}
}

func slow(_ context.Context, f *flooder) (func(context.Context) error, error) {
	whole := framed(make([]byte, largest), false)
	return func(ctx context.Context) error {
		f.connections(ctx, 10, wide, func(ctx context.Context, w *wire) error {
			ids := make([]uint32, 50)
			for i := range ids {
				var err error
				if ids[i], err = w.open(dlmv1.LockService_Append_FullMethodName); err != nil {
					return err
				}
			}
			for sent := 0; ctx.Err() == nil; sent++ {
				for _, id := range ids {
					if err := w.send(id, whole[sent:sent+1], false); err != nil && !errors.Is(err, errOver) {
						return err
					}
				}
				if err := w.flush(); err != nil {
					return err
				}
				pause(ctx, time.Second)
			}
			return nil
		})
		return nil
	}, nil
}

// What is read in vain.
const (
	floodLock = "flood/read"
	floodFile = "large"
	floodSize = 1 << 20
)

func readLarge() *dlmv1.ReadRequest { return &dlmv1.ReadRequest{Lock: floodLock, File: floodFile} }

// never makes calls on a connection whose answers it does not read.
func (f *flooder) never(ctx context.Context, connections, each int, method string, message []byte) {
	f.connections(ctx, connections, narrow, func(ctx context.Context, w *wire) error {
		for range each {
			if err := w.call(method, message); err != nil {
				return err
			}
		}
		return w.hold(ctx)
	})
}

func unreadReads(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	message := encode(readLarge())
	return func(ctx context.Context) error {
		f.never(ctx, 1, 1000, dlmv1.LockService_Read_FullMethodName, message)
		return nil
	}, f.publish(ctx, floodLock, floodFile, floodSize)
}

func unreadTails(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	message := encode(&dlmv1.TailRequest{Lock: floodLock, File: floodFile})
	return func(ctx context.Context) error {
		f.never(ctx, 4, 50, dlmv1.LockService_Tail_FullMethodName, message)
		return nil
	}, f.publish(ctx, floodLock, floodFile, floodSize)
}

func unreadWatches(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	message := encode(&dlmv1.WatchRequest{})
	return func(ctx context.Context) error {
		f.never(ctx, 4, 50, dlmv1.LockService_Watch_FullMethodName, message)
		return nil
	}, f.traffic(ctx, "traffic/", 4)
}

// inOrder sends numbered messages on a stream, made one after the other, as fast as the server
// takes them, and then waits.
func (f *flooder) inOrder(ctx context.Context, connections, each int, window uint32, message func(call uint64) *dlmv1.StreamRequest) {
	f.streams(ctx, connections, window, func(w *wire, id uint32) error {
		for i := range each {
			f.tally.sent.Add(1)
			if err := w.send(id, encode(message(uint64(i+1))), false); err != nil {
				return err
			}
		}
		return w.hold(ctx)
	})
}

func unreadInStream(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		f.inOrder(ctx, 4, 1000, narrow, func(call uint64) *dlmv1.StreamRequest {
			return &dlmv1.StreamRequest{Call: call, Request: &dlmv1.StreamRequest_Read{Read: readLarge()}}
		})
		return nil
	}, f.publish(ctx, floodLock, floodFile, floodSize)
}

func unreadInspects(ctx context.Context, f *flooder) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		f.inOrder(ctx, 1, 20_000, narrow, func(call uint64) *dlmv1.StreamRequest {
			return &dlmv1.StreamRequest{Call: call, Request: &dlmv1.StreamRequest_Inspect{Inspect: &dlmv1.InspectRequest{Lock: floodLock}}}
		})
		return nil
	}, f.publish(ctx, floodLock, floodFile, 1)
}
