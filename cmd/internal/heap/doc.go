// Package heap has a program collect its garbage less often than Go would, for more memory: with
// little alive, when that would be many times a second, and with much. A program that ends soon
// collects none.
package heap
