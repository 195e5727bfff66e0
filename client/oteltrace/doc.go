// Package oteltrace makes OpenTelemetry traces of what a client of dlm does, by its hooks: the
// client itself depends on no library for that.
//
//	c, err := client.Open(client.Config{Hooks: oteltrace.Hooks(provider)})
//
// Each call is a span, dlm.acquire for instance, below the span that its context has. That of an
// acquire has the events `queued`, once the client has learned of it, and `granted`. The server is
// told of it (W3C Trace Context), so that its own spans are below, if it makes traces itself: those
// have both events at the moment. A lock that is lost is an event of the span that it was acquired
// under. The attributes are dlm.lock, dlm.token, dlm.session (the public id) and dlm.file; neither
// credentials nor what is appended or read are among them.
package oteltrace
