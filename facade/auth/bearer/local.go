package bearer

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/reread"
)

// local is a set of keys in a file.
type local struct {
	*reread.Files[*keySet]
}

func openLocal(issuer Issuer, logger *slog.Logger) (local, error) {
	files, err := reread.Open(func() (*keySet, error) {
		text, err := os.ReadFile(issuer.JWKS)
		if err != nil {
			return nil, err
		}
		return parseSet(text, logger)
	}, func(err error) { tell(logger, err) }, issuer.JWKS)
	return local{files}, err
}

func (l local) current() *keySet { return l.Get() }

func (l local) look() { l.Look() }

func (l local) run(ctx context.Context) { l.Run(ctx, time.Second, func(*keySet) {}) }
