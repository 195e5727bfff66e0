package sealed_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/distributed-lock-manager/dlm/internal/sealed"
)

func seal(content []byte) []byte {
	sum := sha256.Sum256(content)
	return append(bytes.Clone(content), sum[:]...)
}

func sumOf(whole []byte, piece int) (string, error) {
	var c sealed.Check
	for len(whole) > 0 {
		n := min(piece, len(whole))
		_, _ = c.Write(whole[:n])
		whole = whole[n:]
	}
	return c.Sum()
}

func TestSumOfWhatIsWhole(t *testing.T) {
	content := bytes.Repeat([]byte("snapshot"), 512)
	want := sha256.Sum256(content)
	for _, piece := range []int{1, 31, 32, 33, 4096, 1 << 20} {
		got, err := sumOf(seal(content), piece)
		if err != nil || got != hex.EncodeToString(want[:]) {
			t.Errorf("in pieces of %d: %q, %v", piece, got, err)
		}
	}
}

func TestNoBitMayDiffer(t *testing.T) {
	whole := seal(bytes.Repeat([]byte("snapshot"), 512))
	for i := range 200 {
		bad := bytes.Clone(whole)
		at := rand.IntN(len(bad))
		if i < 2 { // the first byte, and the last
			at = i * (len(bad) - 1)
		}
		bad[at] ^= 1 << rand.IntN(8)
		if _, err := sumOf(bad, 4096); !errors.Is(err, sealed.ErrBroken) {
			t.Errorf("a bit of byte %d differs: %v", at, err)
		}
	}
}

func TestNothingMayBeMissing(t *testing.T) {
	whole := seal(bytes.Repeat([]byte("snapshot"), 512))
	for _, size := range []int{0, 1, 31, 32, 512, 544, 4096, len(whole) - 512, len(whole) - 32, len(whole) - 1} {
		if sum, err := sumOf(whole[:size], 100); err == nil {
			t.Errorf("of %d bytes of %d: %s", size, len(whole), sum)
		}
	}
	if sum, err := sumOf(append(whole, 0), 100); !errors.Is(err, sealed.ErrUnsealed) {
		t.Errorf("with a byte more: %q, %v", sum, err)
	}
}
