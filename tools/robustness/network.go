package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// space is where a process runs: in a network namespace of its own, or beside all others.
type space struct {
	name string // empty: beside all others
	host string // by which the run reaches it; this wire is never cut
	peer string // by which the other namespaces do, through the switch
}

// listen is where a process can listen: as the others reach it, and as the run does.
func (s *space) listen(port int) (peer, host string, err error) {
	if s.name == "" {
		peer, err = freeAddr()
		return peer, peer, err
	}
	return net.JoinHostPort(s.peer, fmt.Sprint(port)), net.JoinHostPort(s.host, fmt.Sprint(port)), nil
}

// command is a command line that has a program run there.
func (s *space) command(args ...string) []string {
	if s.name == "" {
		return args
	}
	return append([]string{"ip", "netns", "exec", s.name}, args...)
}

// plain is the flag that says whether a server may speak plain text to other namespaces.
func (s *space) plain() string { return fmt.Sprintf("--insecure=%t", s.name != "") }

// network is network namespaces that are joined by a switch in one more, and each by a wire of its
// own with the run's. All of them are in the namespaces of this run, so that their names and
// addresses are nobody else's.
type network struct {
	spaces []*space

	mu    sync.Mutex
	drops map[drop]int // by how many faults
}

// drop is what a namespace does not let through.
type drop struct {
	in   string // the namespace
	set  string // received or sent
	peer string // from whom, or to whom
}

const (
	received = "received"
	sent     = "sent"
)

// etcdPort is where etcd's own protocol is spoken in each namespace. A server with embedded etcd
// does so on loopback alone, and what comes over the run's wire is handed on there.
const etcdPort = 2379

const rules = `
table inet dlm {
	set received { type ipv4_addr; }
	set sent { type ipv4_addr; }
	chain in { type filter hook input priority 0; ip saddr @received counter drop; }
	chain out { type filter hook output priority 0; ip daddr @sent counter drop; }
}`

const handOn = `
table ip dlm {
	chain pre { type nat hook prerouting priority -100; iifname "host" tcp dport %d dnat to 127.0.0.1; }
}`

// command runs a command, and returns what it has written.
func command(args ...string) (string, error) {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// commands runs one command a line, as far as all go well.
func commands(lines ...string) error {
	for _, line := range lines {
		if _, err := command(strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

// newNetwork makes the switch. The directory of named namespaces is mounted anew, so that the names
// are this run's as well.
func newNetwork() (*network, error) {
	const names = "/run/netns"
	if err := os.MkdirAll(names, 0o755); err != nil {
		return nil, err
	}
	return &network{drops: map[drop]int{}}, commands(
		"mount -t tmpfs tmpfs "+names,
		"ip link set lo up",
		"ip netns add switch",
		"ip -n switch link add br0 type bridge",
		"ip -n switch link set br0 up",
	)
}

// join adds a namespace. With loopback, etcd's port is handed on to there.
func (n *network) join(name string, loopback bool) (*space, error) {
	i := len(n.spaces)
	s := &space{name: name, host: fmt.Sprintf("10.213.78.%d", 4*i+2), peer: fmt.Sprintf("10.213.77.%d", i+1)}
	err := commands(
		"ip netns add "+name,
		"ip -n "+name+" link set lo up",
		fmt.Sprintf("ip link add name peer netns %s type veth peer name %s netns switch", name, name),
		fmt.Sprintf("ip -n %s addr add %s/24 dev peer", name, s.peer),
		"ip -n "+name+" link set peer up",
		"ip -n switch link set "+name+" master br0",
		"ip -n switch link set "+name+" up",
		fmt.Sprintf("ip link add name %s type veth peer name host netns %s", name, name),
		fmt.Sprintf("ip addr add 10.213.78.%d/30 dev %s", 4*i+1, name),
		"ip link set "+name+" up",
		fmt.Sprintf("ip -n %s addr add %s/30 dev host", name, s.host),
		"ip -n "+name+" link set host up",
	)
	if err != nil {
		return nil, err
	}
	table := rules
	if loopback {
		table += fmt.Sprintf(handOn, etcdPort)
		if err := commands("ip netns exec " + name + " sysctl -q -w net.ipv4.conf.host.route_localnet=1"); err != nil {
			return nil, err
		}
	}
	if _, err := command(s.command("nft", table)...); err != nil {
		return nil, err
	}
	n.spaces = append(n.spaces, s)
	return s, nil
}

// apply has drops begin, or end for one fault; those that another fault wants as well stay.
func (n *network) apply(begin bool, drops ...drop) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range drops {
		verb := ""
		if begin {
			if n.drops[d]++; n.drops[d] == 1 {
				verb = "add"
			}
		} else if n.drops[d]--; n.drops[d] == 0 {
			verb = "delete"
		}
		if verb == "" {
			continue
		}
		if _, err := command("ip", "netns", "exec", d.in, "nft", fmt.Sprintf("%s element inet dlm %s { %s }", verb, d.set, d.peer)); err != nil {
			return err
		}
	}
	return nil
}

// dropped is how many packets a namespace has not let through.
func dropped(name string) (sum int, err error) {
	out, err := command("ip", "netns", "exec", name, "nft", "list", "table", "inet", "dlm")
	for _, match := range regexp.MustCompile(`counter packets (\d+)`).FindAllStringSubmatch(out, -1) {
		packets, err := strconv.Atoi(match[1])
		if err != nil {
			return 0, err
		}
		sum += packets
	}
	return sum, err
}

// receiveNothing are the drops by which one gets nothing from the others.
func receiveNothing(one *space, others ...*space) (list []drop) {
	for _, o := range others {
		list = append(list, drop{one.name, received, o.peer})
	}
	return list
}

// sendNothing are the drops by which nothing of one gets to the others.
func sendNothing(one *space, others ...*space) (list []drop) {
	for _, o := range others {
		list = append(list, drop{one.name, sent, o.peer})
	}
	return list
}

// bothWays are the drops by which one and the others are cut off from each other.
func bothWays(one *space, others ...*space) []drop {
	return append(receiveNothing(one, others...), sendNothing(one, others...)...)
}
