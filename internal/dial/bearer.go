package dial

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// bearer shows the token in a file with each call.
type bearer struct {
	file   string
	secure bool
	shown  func(ends time.Time)
}

// RequireTransportSecurity has gRPC send the token by TLS alone, where that is spoken.
func (b bearer) RequireTransportSecurity() bool { return b.secure }

// GetRequestMetadata is called for each call. A token that cannot be shown is as one that the
// server refuses: the call has not left.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	content, err := os.ReadFile(b.file)
	if err != nil {
		return nil, status.Errorf(codes.Unauthenticated, "the file with the bearer token: %v", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, status.Errorf(codes.Unauthenticated, "the file with the bearer token: %s: want one token, of printable ASCII", b.file)
	}
	if ends, ok := expiry(token); ok {
		b.shown(ends)
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// expiry is when a token ends, as itself says; false: it is no JWT, or does not say. Whether it is
// to be believed is for the server to judge.
func expiry(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Exp *float64 `json:"exp"` // seconds since 1970
	}
	const most = 1 << 33 // some 270 years from then, which a time in nanoseconds still holds
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Exp == nil || *claims.Exp < 0 || *claims.Exp > most {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(*claims.Exp * 1000)), true
}
