package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// scrapeEvery is how often a server that is watched is scraped: more often than any Prometheus is
// told to.
const scrapeEvery = time.Second

// watch looks at a server as operators do, by its admin address, until ctx ends: its metrics are
// scraped, and a page is open. complain hears once of what does not work.
func watch(ctx context.Context, admin string, complain func(error)) {
	client := &http.Client{}
	defer client.CloseIdleConnections()
	var once sync.Once
	look := func(path string) {
		if err := drain(ctx, client, "http://"+admin+path); err != nil && ctx.Err() == nil {
			once.Do(func() { complain(err) })
		}
	}
	var page sync.WaitGroup
	page.Go(func() { look("/events") }) // which lasts
	defer page.Wait()
	tick := time.NewTicker(scrapeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			look("/metrics")
		}
	}
}

// drain reads what comes of a request, to its end.
func drain(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
