package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

// What [Check.Sum] finds. Errors are wrapped.
var (
	// ErrUnsealed: there is no hash at the end, as of what was cut off, or never had one.
	ErrUnsealed = errors.New("no SHA-256 at its end")
	// ErrBroken: the hash is not that of what is before it.
	ErrBroken = errors.New("its SHA-256 does not fit")
)

// sector divides the size of every database of etcd's, on whatever disk.
const sector = 512

// Check is a writer that checks what is written to it, in pieces of any size. It keeps none of it.
// The zero value is ready.
type Check struct {
	content hash.Hash // of all but the last bytes
	last    []byte    // the last 32 bytes, or all as long as there are fewer
	size    int64
}

// Write takes the next bytes in. It does not fail.
func (c *Check) Write(p []byte) (int, error) {
	if c.content == nil {
		c.content = sha256.New()
	}
	c.size += int64(len(p))
	c.last = append(c.last, p...)
	if over := len(c.last) - sha256.Size; over > 0 {
		c.content.Write(c.last[:over])
		c.last = append(c.last[:0], c.last[over:]...)
	}
	return len(p), nil
}

// Size is how many bytes were written, with the hash.
func (c *Check) Size() int64 { return c.size }

// Sum is the hash of all that was written but the hash itself, in hexadecimal, if that is right.
func (c *Check) Sum() (sum string, err error) {
	if c.content == nil || c.size%sector != sha256.Size {
		return "", fmt.Errorf("%w: it has %d bytes", ErrUnsealed, c.size)
	}
	is := c.content.Sum(nil)
	if !bytes.Equal(is, c.last) {
		return "", fmt.Errorf("%w: it is %x, and %x stands there", ErrBroken, is, c.last)
	}
	return hex.EncodeToString(is), nil
}
