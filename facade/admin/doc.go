// Package admin serves, over HTTP and on an address of its own, what operators and their tools look
// at:
//
//	/livez           whether the process answers
//	/readyz          whether it serves; ?verbose: what stands in the way
//	/metrics         for Prometheus: see package metrics
//	/version         what runs, as JSON
//	/debug/pprof/    profiles, if the configuration says so
//	/                the web page, if there is one
//
// # Who may ask
//
// Probes know nobody, so /livez and /readyz ask nobody, and say no more than whether all is well
// and which part is not. For /metrics, /version and profiles a caller is known as the service knows
// its clients, and needs the verb admin, for the cluster. The page asks for itself: it shows each
// caller what that may see.
//
// # What it can cost
//
// Nothing of the lock service waits for what is served here. There are so many connections at most,
// headers and bodies are bounded, and so is how long a request may take to come and an answer to be
// read; what lasts, as the page's events, extends its own time with every piece. Scrapes are
// bounded, and those beyond that are refused.
package admin
