package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
)

// firstWindow is how many bytes from the end are searched for lines at first; each time there are
// too few in it, the window is doubled.
const firstWindow = 64 << 10

// tailCommand is `dlm tail`.
type tailCommand struct {
	*streams
	connection
	follow bool
	lines  int64
	bytes  int64
}

func newTail(s *streams) *cobra.Command {
	t := &tailCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "tail [flags] LOCK FILE",
		Short: "Print the end of a file, and follow it",
		Long: `Print the last lines of FILE of LOCK, 10 if not told otherwise. With -f go on as sections are published, each at
once as a whole, until interrupted; a file that does not exist yet is waited for, and an outage is waited out. If the file
is replaced, removed or cut, that is said on standard error, and it goes on.`,
		Args: arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if t.lines < 0 || t.bytes < 0 {
				return usagef("--lines and --bytes must not be negative")
			}
			return t.run(cmd.Context(), args[0], args[1], cmd.Flags().Changed("bytes"))
		},
	}
	t.connection.flags(cmd)
	cmd.Flags().BoolVarP(&t.follow, "follow", "f", false, "go on printing what is published")
	cmd.Flags().Int64VarP(&t.lines, "lines", "n", 10, "how many lines")
	cmd.Flags().Int64VarP(&t.bytes, "bytes", "c", 0, "how many bytes, instead of lines")
	cmd.MarkFlagsMutuallyExclusive("lines", "bytes")
	return cmd
}

func (t *tailCommand) run(ctx context.Context, lock, file string, byBytes bool) error {
	c, done, err := t.opened(ctx, t.streams)
	if err != nil {
		return err
	}
	defer done()
	begin, size, err := extent(ctx, c, lock, file)
	if err != nil && !(t.follow && errors.Is(err, client.ErrFileNotFound)) {
		return err
	}
	offset := max(begin, size-t.bytes)
	if !byBytes {
		if offset, err = lastLines(ctx, c, lock, file, begin, size, t.lines); err != nil {
			return err
		}
	}
	if !t.follow {
		_, err := c.Copy(ctx, t.out, lock, file, offset)
		return err
	}
	ctx, stop := whileRead(ctx, t.out)
	defer stop()
	for piece, err := range c.Tail(ctx, lock, file, offset) {
		if err != nil {
			return ended(ctx, err)
		}
		t.tell(file, piece)
		if _, err := t.out.Write(piece.GetData()); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// tell says what became of the file that is followed.
func (t *tailCommand) tell(file string, piece *client.Piece) {
	switch {
	case piece.GetRemoved():
		t.printf("%q was removed; waiting for it", file)
	case piece.GetReplaced():
		t.printf("%q was replaced; going on with the new one", file)
	}
	if piece.GetCut() {
		t.printf("%q was cut; going on at offset %d", file, piece.GetOffset())
	}
}

// extent is from where to where there is something of a file.
func extent(ctx context.Context, c *client.Client, lock, file string) (begin, end int64, err error) {
	files, err := c.ListFiles(ctx, lock)
	if err != nil {
		return 0, 0, err
	}
	for _, f := range files {
		if f.GetName() == file {
			return f.GetStart(), f.GetSize(), nil
		}
	}
	return 0, 0, fmt.Errorf("%w: %q of lock %q", client.ErrFileNotFound, file, lock)
}

// lastLines is where the last lines of a file begin. A file that does not end with a newline has a
// last line too.
func lastLines(ctx context.Context, c *client.Client, lock, file string, begin, size, lines int64) (int64, error) {
	if size == begin || lines == 0 {
		return size, nil
	}
	for window := int64(firstWindow); ; window *= 2 {
		start := max(begin, size-window)
		var tail bytes.Buffer
		if _, err := c.Copy(ctx, &tail, lock, file, start); err != nil {
			return 0, err
		}
		if at, found := cutLines(tail.Bytes(), lines); found || start == begin {
			return start + int64(at), nil
		}
	}
}

// cutLines is where the last lines of data begin, and whether there are that many.
func cutLines(data []byte, lines int64) (at int, found bool) {
	end := len(bytes.TrimSuffix(data, []byte{'\n'}))
	for ; lines > 0; lines-- {
		if end = bytes.LastIndexByte(data[:end], '\n'); end < 0 {
			return 0, false
		}
	}
	return end + 1, true
}
