// Package turns has those who wait served by turns, so that one who asks for much is not in the way
// of those who ask for little.
package turns
