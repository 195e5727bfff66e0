// Package text says which characters of a text that somebody else has written may be shown, and
// escapes all others: those that a terminal would act upon, or that would have people read
// something else than what is there. Every text leaves a server, and reaches a terminal, by it.
package text
