package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Servers drop what became of publishes after a day, which no run lasts. So the run does that as a
// server does whose day is shorter. Publishers repeat some publishes long after that: none of these
// may be made once more.

// noteKept is how long what became of a publish is known at least: longer than anybody repeats one
// who does not say when it was born, and so is not known to be late.
const noteKept = 30 * time.Second

// veryLate is after how long some publishes are repeated.
const veryLate = noteKept + 10*time.Second

// mostForgotten is how many lanes are forgotten at once, within what etcd takes in a transaction.
const mostForgotten = 50

// forget drops the notes of lanes that are old, and says up to where.
func (r *run) forget(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	etcd, key := r.watching.etcd, prefix+"forgotten"
	before, err := etcd.Get(ctx, key)
	if err != nil || len(before.Kvs) == 0 { // which the first publish makes
		return errors.Join(errNotNow, err)
	}
	upTo, err := strconv.ParseInt(string(before.Kvs[0].Value), 16, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	notes, err := etcd.Get(ctx, prefix+"applied/", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortAscend), clientv3.WithLimit(mostForgotten))
	if err != nil {
		return errors.Join(errNotNow, err)
	}
	same := func(key string, rev int64) clientv3.Cmp { return clientv3.Compare(clientv3.ModRevision(key), "=", rev) }
	ifs, then := []clientv3.Cmp{same(key, before.Kvs[0].ModRevision)}, []clientv3.Op(nil)
	for _, kv := range notes.Kvs {
		var note struct {
			At int64 `json:"at"` // ms since 1970
		}
		if err := json.Unmarshal(kv.Value[min(16, len(kv.Value)):], &note); err != nil {
			return fmt.Errorf("%s: %w", kv.Key, err)
		}
		if time.Since(time.UnixMilli(note.At)) > noteKept {
			ifs, then = append(ifs, same(string(kv.Key), kv.ModRevision)), append(then, clientv3.OpDelete(string(kv.Key)))
			upTo = max(upTo, kv.ModRevision)
		}
	}
	if len(then) == 0 {
		return errNotNow
	}
	done, err := etcd.Txn(ctx).If(ifs...).Then(append(then, clientv3.OpPut(key, fmt.Sprintf("%016x", upTo)))...).Commit()
	if err != nil || !done.Succeeded {
		return errors.Join(errNotNow, err)
	}
	return nil
}
