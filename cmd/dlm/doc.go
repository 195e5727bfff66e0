// Command dlm is the lock service and its tools in one binary: the server, and commands that speak
// to one. Each command is in a file of its own; exit.go has the table of exit codes.
package main
