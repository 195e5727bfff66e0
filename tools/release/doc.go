// Package release has only tests, those of what a release consists of: the version in a binary, its
// bill of materials, the archives, the image. `make release-check` runs them, with -short those
// that need no release tool.
package release
