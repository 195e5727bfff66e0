package embedded

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/internal/certs"
	"github.com/distributed-lock-manager/dlm/internal/reread"
)

// revokedEvery is how often it is looked whether other certificates are revoked.
const revokedEvery = time.Second

// revokedPath is the file with the numbers of revoked certificates that etcd reads.
func revokedPath(dataDir string) string { return filepath.Join(dataDir, "revoked") }

// keepRevoked has etcd know which certificates are revoked, until stop is called. Etcd reads its
// file at each connection, but only one list, not as PEM, and lets nobody in while it cannot: so it
// has a file of its own, and what was in it is kept while those of the configuration are wrong.
func (c Config) keepRevoked() (stop func(), err error) {
	if c.PeerTLS.CRL == "" {
		return func() {}, nil
	}
	logger := c.logger()
	files, err := reread.Open(func() (int, error) {
		set, err := certs.Load(certs.Files{CA: c.PeerTLS.CA, CRL: c.PeerTLS.CRL})
		if err != nil {
			return 0, err
		}
		list, err := unsigned(set.Revoked())
		if err != nil {
			return 0, err
		}
		return len(set.Revoked()), replaceFile(revokedPath(c.DataDir), list)
	}, func(err error) {
		if err != nil {
			logger.Warn("the list of revoked certificates of peers cannot be used; what was in it before is", zap.NamedError("err", err))
		}
	}, c.PeerTLS.CA, c.PeerTLS.CRL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		files.Run(ctx, revokedEvery, func(n int) {
			logger.Info("the list of revoked certificates of peers was reread", zap.Int("revoked", n))
		})
	})
	return func() {
		cancel()
		running.Wait()
	}, nil
}

// unsigned is a list of revoked certificates for etcd, which looks at nothing of it but their
// numbers. So its signature, which there has to be, is anybody's.
func unsigned(revoked []x509.RevocationListEntry) ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	anybody := &x509.Certificate{KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{0}}
	now := time.Now()
	return x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now, RevokedCertificateEntries: revoked,
	}, anybody, key)
}
