package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A feature is what an older server would not do, or would do otherwise, so that it must not begin
// while there may be one. It is switched on for all servers of a prefix at once: by the first store
// that is opened on an empty one, else by an operator's word, and never off.
const (
	// featureBare: the records of clients with numbers have no credentials. An older server would
	// not know how to act for such a client.
	featureBare = "bare"
	// featureLife: files that are replaced, removed and cut, and so begin elsewhere than at 0. An
	// older server would take what says so for malformed, and read what was there before.
	featureLife = "life"
	// featureLinger: sessions that end soon after their client's stream was closed. An older server
	// would not take note of where a client has moved to.
	featureLinger = "linger"
	// featureNumbered: the highest client's number is kept in cluster/numbered alone.
	featureNumbered = "numbered"
	// featurePublish: sections that are published in one call. An older server would fold without
	// them, and answer reads without them.
	featurePublish = "publish"
)

// Features are those that this version knows, in order.
func Features() []string {
	return []string{featureBare, featureLife, featureLinger, featureNumbered, featurePublish}
}

// featuresValue is what is switched on.
type featuresValue struct {
	On []string `json:"on"`
}

func decodeFeatures(kv *mvccpb.KeyValue) (on []string, err error) {
	var v featuresValue
	if err := decode(kv.Value, &v); err != nil {
		return nil, fmt.Errorf("%s is malformed: %s", quoted(string(kv.Key)), quoted(string(kv.Value)))
	}
	return v.On, nil
}

// features is what is switched on, as a store has last read it: at most half a second ago, while it
// serves.
type features struct {
	is atomic.Pointer[switched]
}

// switched is what is switched on, and the value that says so.
type switched struct {
	value string
	names map[string]bool
}

// on reports whether a feature is switched on.
func (f *features) on(name string) bool {
	is := f.is.Load()
	return is != nil && is.names[name]
}

// learn takes in what was read. It is [ErrFormatTooNew] if something is switched on that this
// version does not know: it must not serve beside those that do.
func (f *features) learn(kv *mvccpb.KeyValue) error {
	if is := f.is.Load(); kv == nil || is != nil && string(kv.Value) == is.value { // they are not switched off
		return nil
	}
	on, err := decodeFeatures(kv)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormatTooNew, err)
	}
	is := &switched{value: string(kv.Value), names: map[string]bool{}}
	for _, name := range on {
		if !slices.Contains(Features(), name) {
			return fmt.Errorf("%w: the feature %s is switched on, which this version does not know: run a later version of dlm",
				ErrFormatTooNew, quoted(name))
		}
		is.names[name] = true
	}
	f.is.Store(is)
	return nil
}

// ServerInfo is a server that runs, as it has registered.
type ServerInfo struct {
	ID       string   `json:"-"`        // 16 hex digits
	Name     string   `json:"name"`     // for people
	Version  string   `json:"version"`  // of its program
	Features []string `json:"features"` // that it knows
}

// FeatureState is what is switched on under a prefix, and who runs there.
type FeatureState struct {
	Cluster string       // its id
	On      []string     // in order
	Servers []ServerInfo // those that have registered; versions that do not register cannot be seen

	rev  int64 // as of which it was read
	last int64 // the features' ModRevision; 0: there are none
}

// errFeature is the refusal to switch a feature on.
var errFeature = errors.New("the feature cannot be switched on")

// ReadFeatures returns what is switched on under a prefix, by a client of its etcd.
func ReadFeatures(ctx context.Context, etcd *clientv3.Client, prefix string) (FeatureState, error) {
	k := keysOf(prefix)
	resp, err := etcd.Txn(ctx).Then(
		clientv3.OpGet(k.meta()), clientv3.OpGet(k.features()), clientv3.OpGet(k.allServers(), clientv3.WithPrefix()),
	).Commit()
	if err != nil {
		return FeatureState{}, fmt.Errorf("read the features: %w", err)
	}
	st := FeatureState{rev: resp.Header.Revision}
	meta := resp.Responses[0].GetResponseRange().Kvs
	if len(meta) == 0 {
		return st, fmt.Errorf("no server that has features runs, or ran, with the prefix %s", quoted(string(k)))
	}
	if st.Cluster, err = checkMeta(meta[0]); err != nil {
		return st, err
	}
	for _, kv := range resp.Responses[1].GetResponseRange().Kvs {
		st.last = kv.ModRevision
		if st.On, err = decodeFeatures(kv); err != nil {
			return st, err
		}
	}
	for _, kv := range resp.Responses[2].GetResponseRange().Kvs {
		info := ServerInfo{ID: strings.TrimPrefix(string(kv.Key), k.allServers())}
		if _, err := checkServer(k, kv); err != nil {
			info.Name = "malformed" // and knows no feature
		} else if err := decode(kv.Value, &info); err != nil {
			return st, err
		}
		st.Servers = append(st.Servers, info)
	}
	return st, nil
}

// EnableFeature switches a feature on, for good. It refuses while a server has registered that does
// not know it; one that registers at that very moment counts. Servers of versions that do not
// register cannot be seen, and it is the caller who knows that there are none. A repeat changes
// nothing and succeeds.
func EnableFeature(ctx context.Context, etcd *clientv3.Client, prefix, name string) error {
	if !slices.Contains(Features(), name) {
		return fmt.Errorf("%w: there is none called %s; there are %s", errFeature, quoted(name), strings.Join(Features(), ", "))
	}
	k := keysOf(prefix)
	for {
		st, err := ReadFeatures(ctx, etcd, prefix)
		if err != nil {
			return err
		}
		if slices.Contains(st.On, name) {
			return nil
		}
		for _, server := range st.Servers {
			if !slices.Contains(server.Features, name) {
				return fmt.Errorf("%w: server %s (%s, version %s) does not know it: upgrade or stop it first",
					errFeature, quoted(server.ID), quoted(server.Name), quoted(server.Version))
			}
		}
		on := append(slices.Clone(st.On), name)
		slices.Sort(on)
		resp, err := etcd.Txn(ctx).If(
			clientv3.Compare(clientv3.ModRevision(k.features()), "=", st.last),
			clientv3.Compare(clientv3.ModRevision(k.allServers()), "<", st.rev+1).WithPrefix(),
			clientv3.Compare(clientv3.ModRevision(k.meta()), "<", st.rev+1),
			clientv3.Compare(clientv3.ModRevision(k.meta()), ">", 0),
		).Then(
			clientv3.OpPut(k.features(), encode(featuresValue{On: on})),
			clientv3.OpTxn( // of featurePublish
				[]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(k.forgotten()), "=", 0)},
				[]clientv3.Op{clientv3.OpPut(k.forgotten(), hex16(0))}, nil),
		).Commit()
		if err != nil {
			return fmt.Errorf("switch %s on: %w", quoted(name), err)
		}
		if resp.Succeeded {
			return nil
		}
	}
}
