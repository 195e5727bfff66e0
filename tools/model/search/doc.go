// Package search looks at every state that a machine can come to, breadth first, so that the first
// one that breaks an invariant has the shortest story.
package search
