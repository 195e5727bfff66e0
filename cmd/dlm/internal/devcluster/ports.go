package devcluster

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
)

// FirstPort is the first of the ports on which the coursework's clients look for servers.
const FirstPort = 50051

// ErrPorts is the error of ports that cannot be used.
var ErrPorts = errors.New("ports")

// local is a port's address.
func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// servingPorts are the ports of the servers: those that were asked for, or the coursework's, or
// any.
func servingPorts(wanted []int) (ports [Size]int, err error) {
	if len(wanted) > 0 {
		if len(wanted) != Size {
			return ports, fmt.Errorf("%w: %d are given, want %d", ErrPorts, len(wanted), Size)
		}
		for i, port := range wanted {
			if ports[i] = port; !free(port) {
				return ports, fmt.Errorf("%w: %d cannot be listened on at 127.0.0.1: is it in use?", ErrPorts, port)
			}
		}
		if ports[0] == ports[1] || ports[1] == ports[2] || ports[0] == ports[2] {
			return ports, fmt.Errorf("%w: each server needs one of its own", ErrPorts)
		}
		return ports, nil
	}
	for i := range ports {
		if ports[i] = FirstPort + i; !free(ports[i]) {
			return freePorts()
		}
	}
	return ports, nil
}

// free reports whether a port can be listened on.
func free(port int) bool {
	l, err := net.Listen("tcp", local(port))
	if err != nil {
		return false
	}
	return l.Close() == nil && port != 0
}

// freePorts are ports that nobody listens on.
func freePorts() (ports [Size]int, err error) {
	for i := range ports {
		l, err := net.Listen("tcp", local(0))
		if err != nil {
			return ports, err
		}
		defer l.Close() // when all are known, so that each is another one
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// peerPorts are the ports on which the servers reach each other. A cluster remembers them, so that
// one whose data was kept has to have those that it was founded with: they are kept in a file.
func peerPorts(file string) (ports [Size]int, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if ports, err = freePorts(); err != nil {
			return ports, err
		}
		return ports, os.WriteFile(file, fmt.Appendf(nil, "%d %d %d\n", ports[0], ports[1], ports[2]), 0o600)
	}
	if err != nil {
		return ports, err
	}
	if _, err := fmt.Fscan(strings.NewReader(string(text)), &ports[0], &ports[1], &ports[2]); err != nil {
		return ports, fmt.Errorf("%s should have three ports, and has %.64q: %w", file, text, err)
	}
	for _, port := range ports {
		if !free(port) {
			return ports, fmt.Errorf("%w: %d, which this cluster was founded with, is in use: is it running already?", ErrPorts, port)
		}
	}
	return ports, nil
}
