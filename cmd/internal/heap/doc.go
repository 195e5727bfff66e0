// Package heap spares a program with little in memory the collection of its garbage many times a second.
package heap
