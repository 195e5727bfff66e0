package page

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// errHost is that a request may have been made by a stranger's site.
var errHost = errors.New("this server asks nobody who they are, so it is to be reached as localhost or by its IP address: another site could have any other name lead here")

// guard is why a request is not answered; nil: it is. Of a server that asks nobody who they are,
// reaching it is all that it takes. A browser within reach would do it for a site whose name leads
// to that address: to the browser both are one site. So only names are taken that no site can have.
func guard(r *http.Request, caller Caller) error {
	if caller.Name() != "" {
		return nil
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return nil
	}
	return errHost
}
