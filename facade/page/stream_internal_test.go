package page

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestStreamRemembersLittle: however much changes, a reader who is not ready costs names, and not
// too many of them.
func TestStreamRemembersLittle(t *testing.T) {
	s := newStream(nil)
	if _, every := s.take(); !every {
		t.Error("a new stream is not told everything")
	}
	for i := range maxNames / 2 {
		s.changed([]string{fmt.Sprint(i), fmt.Sprint(i)})
	}
	if names, every := s.take(); len(names) != maxNames/2 || every {
		t.Errorf("%d names, every: %t", len(names), every)
	}
	for i := range 10 * maxNames {
		if s.changed([]string{fmt.Sprint(i)}); len(s.names) > maxNames+1 {
			t.Fatalf("%d names are remembered", len(s.names))
		}
	}
	if names, every := s.take(); len(names) != 0 || !every {
		t.Errorf("after too many: %d names, every: %t", len(names), every)
	}
}

// TestWriterGivesUp: whoever does not read holds nothing up for longer than a bound.
func TestWriterGivesUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it returns at once
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		out := &writer{to: w, control: http.NewResponseController(w), within: 100 * time.Millisecond}
		piece := make([]byte, 1<<20)
		for range 1000 { // more than any buffer has room for
			if err := out.event("x", piece); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	})}
	go func() { _ = server.Serve(l) }()
	defer func() { _ = server.Close() }()
	conn, err := net.Dial("tcp", l.Addr().String()) //nolint:noctx // likewise
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("all was sent to somebody who does not read")
		}
	case <-time.After(time.Minute):
		t.Error("the writer waits for somebody who does not read")
	}
}
