package main

import (
	"io"
	"net"
	"testing"
	"time"
)

// Nobody comes through a relay that is shut, and who had come is cut off.
func TestProxyShutsOut(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn) }()
		}
	}()
	p, err := newProxy(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	comes := func() (net.Conn, bool) {
		conn, err := net.DialTimeout("tcp", p.listener.Addr().String(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return conn, echoes(t, conn)
	}
	first, through := comes()
	defer first.Close()
	if !through {
		t.Error("nobody comes through a relay that is open")
	}
	p.shutOut(true)
	second, through := comes()
	defer second.Close()
	if through || echoes(t, first) {
		t.Error("somebody comes through a relay that is shut")
	}
	p.shutOut(false)
	third, through := comes()
	defer third.Close()
	if !through {
		t.Error("nobody comes through a relay that is open again")
	}
}

// echoes reports whether a byte that is sent comes back.
func echoes(t *testing.T, conn net.Conn) bool {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b := []byte{1}
	if _, err := conn.Write(b); err != nil {
		return false
	}
	_, err := io.ReadFull(conn, b)
	return err == nil
}
