package facade

import (
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/status"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// maxLogged bounds in bytes what a client chose and the log repeats.
const maxLogged = 64

// publicDigits is the length of a session's public id, which is hexadecimal.
const publicDigits = 16

// prefix is what the names of this API's methods begin with.
const prefix = "/" + serviceName + "/"

// serviceName is the API's service, in full.
const serviceName = "dlm.v1.LockService"

// log writes the one line of a call. Lost locks and sessions are warnings: either a client stalled
// or the network did, and work may have been undone. So are outcomes that nobody knows any more. A
// record that is gone is an error of whoever runs etcd. Who is not known, or may not do that, is of
// interest. Other refusals are the caller's own affair.
func (c *call) log(resp any, err error, took time.Duration) {
	level, code := slog.LevelDebug, codeOf(err)
	if r, ok := errors.AsType[*refusal](err); ok {
		switch r.reason {
		case reasonLockExpired, reasonSessionExpired, reasonOutcomeUnknown:
			level = slog.LevelWarn
		case reasonUnauthenticated, reasonPermissionDenied:
			level = slog.LevelInfo
		case reasonInternal, reasonDataLoss, reasonMalformed:
			level = slog.LevelError
		}
	}
	logger := c.service.logger
	if !logger.Enabled(c.ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 11)
	attrs = append(attrs, slog.String("method", strings.TrimPrefix(c.method, prefix)), slog.String("code", code))
	if c.caller.identity != "" {
		attrs = append(attrs, slog.String("identity", string(c.caller.identity)))
	}
	attrs = append(attrs, subject(c.req, resp)...)
	attrs = append(attrs, slog.Duration("took", took))
	if err != nil {
		attrs = append(attrs, slog.String("err", err.Error()))
	}
	if c.trace != nil {
		span := c.trace.span.SpanContext()
		attrs = append(attrs, slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	logger.LogAttrs(c.ctx, level, "call", attrs...)
}

// codeOf is the reason of an error as the client sees it, or else its code.
func codeOf(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.reason
	}
	return status.Code(err).String()
}

// subject returns the attributes that say what a call is about, as far as its messages do.
func subject(req, resp any) []slog.Attr {
	var attrs []slog.Attr
	if m, ok := req.(interface{ GetSession() string }); ok {
		attrs = append(attrs, slog.String("session", publicID(m.GetSession())))
	} else if m, ok := resp.(*dlmv1.InitResponse); ok {
		attrs = append(attrs, slog.String("session", publicID(m.GetSession())))
	}
	if m, ok := req.(interface{ GetLock() string }); ok {
		attrs = append(attrs, slog.String("lock", quote(m.GetLock())))
	}
	if m, ok := req.(interface{ GetToken() int64 }); ok {
		attrs = append(attrs, slog.Int64("token", m.GetToken()))
	} else if m, ok := resp.(interface{ GetToken() int64 }); ok {
		attrs = append(attrs, slog.Int64("token", m.GetToken()))
	}
	if m, ok := req.(interface{ GetRequest() string }); ok {
		attrs = append(attrs, slog.String("request", quote(m.GetRequest())))
	}
	return attrs
}

// publicID returns the part of a credential that anybody may see. Text of any other form might have
// the secret in its place, and is not shown.
func publicID(credential string) string {
	id, _, found := strings.Cut(credential, ".")
	if !found || len(id) != publicDigits || strings.Trim(id, "0123456789abcdef") != "" {
		return ""
	}
	return id
}

// quote returns a client's text fit for any log format: cut, and quoted unless it is plain.
func quote(text string) string { return quoteAt(text, maxLogged) }

// quoteAt is quote, but for how long the text may be.
func quoteAt(text string, most int) string {
	short := cut(text, most)
	for _, r := range short {
		if r > unicode.MaxASCII || !unicode.IsPrint(r) {
			return strconv.QuoteToASCII(short)
		}
	}
	return short
}

// cut returns at most the first n bytes of text, up to the end of a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
