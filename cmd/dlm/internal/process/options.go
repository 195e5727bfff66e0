package process

import (
	"fmt"
	"strings"
	"time"
)

// Options say how a tree is ended.
type Options struct {
	// KillAfter is how long processes have to end, from SIGTERM to SIGKILL, when the lease was
	// ended by decision, or a second SIGTERM came.
	KillAfter time.Duration
	Leftovers Leftovers
	// Say tells the user something. It is called in a goroutine that nobody waits for; nil: nobody
	// is told.
	Say func(message string)
}

// Leftovers is what becomes of the processes that run on when the command itself has ended. It is a
// flag's value: "wait", "wait:DURATION", "kill" or "leave".
type Leftovers struct {
	Leave bool          // they are none of the tree any more
	Wait  time.Duration // for them to end, before they are ended; below 0: for ever
}

// forEver is a wait for as long as it takes.
const forEver = -1

// WaitForLeftovers waits for as long as it takes.
func WaitForLeftovers() Leftovers { return Leftovers{Wait: forEver} }

func (l *Leftovers) String() string {
	switch {
	case l.Leave:
		return "leave"
	case l.Wait < 0:
		return "wait"
	case l.Wait == 0:
		return "kill"
	}
	return "wait:" + l.Wait.String()
}

// Set reads what String writes.
func (l *Leftovers) Set(text string) error {
	switch text {
	case "wait":
		*l = WaitForLeftovers()
		return nil
	case "kill":
		*l = Leftovers{}
		return nil
	case "leave":
		*l = Leftovers{Leave: true}
		return nil
	}
	duration, ok := strings.CutPrefix(text, "wait:")
	if !ok {
		return fmt.Errorf("%q is none of wait, wait:DURATION, kill and leave", text)
	}
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	if d < 0 {
		return fmt.Errorf("%v is below 0s", d)
	}
	*l = Leftovers{Wait: d}
	return nil
}

// Type names the kind of value in a flag's help.
func (l *Leftovers) Type() string { return "what" }
