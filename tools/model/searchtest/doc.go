// Package searchtest has what the tests of all models say of their runs.
package searchtest
