package devcluster

import (
	"bufio"
	"os"
	"strings"
)

// listen reads keys, from a terminal one by one as they are pressed, from anything else as the
// words of its lines. The words end when there are no more. restore gives the terminal back.
//
// A read of a terminal cannot be broken off: its goroutine ends with the program.
func listen(in *os.File) (words <-chan string, restore func()) {
	read := make(chan string)
	restore, single := singleKeys(in)
	go func() {
		defer close(read)
		if single {
			readKeys(in, read)
		} else {
			readWords(in, read)
		}
	}()
	return read, restore
}

// readKeys reads single keys. One that stands for no letter, as an arrow, comes as an escape and
// more: those are passed over.
func readKeys(in *os.File, words chan<- string) {
	const escape = 27
	keys := bufio.NewReader(in)
	for {
		key, err := keys.ReadByte()
		if err == nil && key == escape && keys.Buffered() > 1 {
			for _, err = keys.ReadByte(); err == nil; { // what it begins, '[' or 'O'
				if key, err = keys.ReadByte(); key >= '@' {
					break // and this ends
				}
			}
			key = escape
		}
		if err != nil {
			return
		}
		if key > ' ' {
			words <- string(rune(key))
		}
	}
}

func readWords(in *os.File, words chan<- string) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		for _, word := range strings.Fields(lines.Text()) {
			words <- word
		}
	}
}
