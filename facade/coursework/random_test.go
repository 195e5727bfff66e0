package coursework_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// impatient is a client that gives up calls and makes them again, through any server, under the
// same id or, if it is an acquire, another; and whose requests come twice, and late.
type impatient struct {
	client
	node   *facadetest.Node
	random *rand.Rand
	n      int
	late   *sync.WaitGroup
}

func (c *impatient) id() string {
	c.n++
	return fmt.Sprintf("%d-%d", c.client.id, c.n)
}

// try makes a call until it is answered, and returns the answer. anew: under new ids.
func (c *impatient) try(ctx context.Context, anew bool, call func(ctx context.Context, c client, id string) (*pb.Response, error)) *pb.Response {
	id := c.id()
	for ctx.Err() == nil {
		at := c.at(c.node, c.random.IntN(2))
		if c.random.IntN(3) == 0 { // a duplicate, which may be late
			again, delay := id, time.Duration(c.random.IntN(300))*time.Millisecond
			elsewhere := c.at(c.node, c.random.IntN(2))
			c.late.Go(func() {
				select {
				case <-time.After(delay):
					ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
					defer cancel()
					_, _ = call(ctx, elsewhere, again)
				case <-ctx.Done():
				}
			})
		}
		patient := time.Duration(1+c.random.IntN(60)) * time.Millisecond
		if c.random.IntN(4) == 0 {
			patient = long
		}
		some, cancel := context.WithTimeout(ctx, patient)
		resp, err := call(some, at, id)
		cancel()
		if err == nil {
			return resp
		}
		if anew && c.random.IntN(2) == 0 {
			id = c.id()
		}
	}
	return nil
}

// Whatever clients give up, repeat, and send twice: sections are whole, each once, and in the end
// nobody holds or waits.
func TestImpatientClients(t *testing.T) {
	t.Parallel()
	const clients, sections = 5, 6
	node := facadetest.Start(t, facadetest.WithFacades(2), facadetest.WithCoursework(long, long))
	ctx := storetest.Bounded(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var running, late sync.WaitGroup
	for i := range clients {
		c := &impatient{client: join(t, node, i%2), node: node, random: rand.New(rand.NewPCG(seed, uint64(i))), late: &late}
		running.Go(func() {
			for s := range sections {
				got := c.try(ctx, true, func(ctx context.Context, c client, id string) (*pb.Response, error) {
					return c.api.LockAcquire(ctx, acquireArgs(c, id))
				})
				for part := range 2 {
					if got.GetStatus() == success {
						got = c.try(ctx, false, func(ctx context.Context, at client, id string) (*pb.Response, error) {
							return at.api.FileAppend(ctx, appendArgs(at, id, "file_0", fmt.Sprintf("%d.%d.%d ", i, s, part)))
						})
					}
				}
				if got.GetStatus() == success {
					got = c.try(ctx, false, func(ctx context.Context, at client, id string) (*pb.Response, error) {
						return at.api.LockRelease(ctx, acquireArgs(at, id))
					})
				}
				if got.GetStatus() != success {
					t.Errorf("section %d of client %d: %v, %v", s, i, got, ctx.Err())
					return
				}
			}
		})
	}
	running.Wait()
	late.Wait()
	join(t, node, 0).sees(0)
	queued(t, node, 0)
	text := contents(t, node, "file_0")
	words := strings.Fields(text)
	if len(words) != 2*clients*sections {
		t.Errorf("%d records, want %d: %s", len(words), 2*clients*sections, text)
	}
	for i := 0; i+1 < len(words); i += 2 {
		section, _ := strings.CutSuffix(words[i], ".0")
		if words[i+1] != section+".1" {
			t.Errorf("%s is followed by %s", words[i], words[i+1])
		}
	}
}
