// Package ptytest runs a program on a terminal of its own, as tests of job control need it: types
// on its keyboard and reads its screen.
package ptytest
