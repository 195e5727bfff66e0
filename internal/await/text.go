package await

import (
	"bytes"
	"sync"
)

// Text is what is written while a test waits for it, such as a log. Its zero value is empty, and it
// is safe for concurrent use.
type Text struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *Text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *Text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}
