package scenarios_test

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// story is what the scenarios tell, to be printed when all have been played.
var story tale

type tale struct {
	mu   sync.Mutex
	rows []row
}

// row is one scenario through one API.
type row struct {
	id, what, api string
	files         []string // what a reader found, each named if there are several
	ok            bool
	recoveries    []time.Duration
}

func (s *tale) add(r row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = append(s.rows, r)
}

// tell prints the story into a file; none: on standard output, if that is wanted.
func (s *tale) tell(file string) error {
	if file == "" {
		if testing.Verbose() {
			s.print(os.Stdout)
		}
		return nil
	}
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	s.print(to)
	return to.Close()
}

func (s *tale) print(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rows) == 0 {
		return
	}
	slices.SortFunc(s.rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.id, b.id), -cmp.Compare(a.api, b.api))
	})
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "id\tAPI\tin the file\tpass\trecovery")
	for _, r := range s.rows {
		pass := "yes"
		if !r.ok {
			pass = "NO"
		}
		var recoveries []string
		for _, d := range r.recoveries {
			recoveries = append(recoveries, fmt.Sprintf("%.1f s", d.Seconds()))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.id, r.api, strings.Join(r.files, " "), pass, strings.Join(recoveries, ", "))
	}
	_ = table.Flush()
	fmt.Fprintln(w)
	for i, r := range s.rows {
		if i == 0 || s.rows[i-1].id != r.id {
			fmt.Fprintf(w, "%s  %s.\n", r.id, r.what)
		}
	}
	fmt.Fprintln(w, `
In the file is what a reader finds in the end. What an unreleased hold had appended and lost is not: sections are whole.
Recovery is from the fault to the first call that succeeded after it; 4e's second is from when a majority could be had again.`)
}

// short makes runs of one letter readable: A*20.
func short(text string) string {
	if text == "" {
		return "(nothing)"
	}
	var b strings.Builder
	for len(text) > 0 {
		n := len(text) - len(strings.TrimLeft(text, text[:1]))
		if n > 4 {
			fmt.Fprintf(&b, "%s*%d ", text[:1], n)
		} else {
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return strings.TrimSpace(b.String())
}
