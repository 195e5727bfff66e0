package etcdstore

import (
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// A file counts once, whether what is published to it is folded yet or not; what is staged does
// not.
func TestCensusCountsFiles(t *testing.T) {
	c := NewCensus("")
	k := c.keys
	add := func(key string, value []byte) { c.Add(&mvccpb.KeyValue{Key: []byte(key), Value: value}) }
	add(k.head("l", "old"), []byte(encode(headValue{Size: 3, Chunk: mostChunk, Token: 7})))
	for i, file := range []string{"new", "new", "old"} {
		token := int64(20 + i)
		add(k.record("l", token, "2"), encodeRecord(2, Operation{File: file, Data: []byte("12345")}))
		add(k.record("l", token, "3"), encodeRecord(3, Operation{File: file, Data: []byte("67")}))
		add(k.marker("l", token), nil)
	}
	add(k.record("l", 30, "2"), encodeRecord(2, Operation{File: "staged", Data: []byte("1")}))
	for range 2 {
		n, err := c.Counts()
		if err != nil || n.Files != 2 || n.Bytes != 3+3*7 || n.Unfolded != 3 || n.Staged != 1 {
			t.Errorf("got %+v, %v; want 2 files of 24 bytes, 3 sections unfolded and 1 staged", n, err)
		}
	}
}
