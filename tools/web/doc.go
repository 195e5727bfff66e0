// Package web tries the web page in a real browser, Chromium without a window, against a real
// server with real locks. It is a Go module of its own, for what drives the browser is no part of
// dlm. `make web` runs it, and `make web ARGS=-short` what takes less than a minute; where there is
// no Chromium, it says so and tries nothing. What it sees is kept as pictures, in the directory
// that DLM_WEB_PICTURES names.
package web
