package client

// Limits of the servers that this package has to know, and may not import.
const (
	MaxLabel    = maxLabel
	MaxMessage  = maxMessage
	MaxPiece    = maxPiece
	SessionRoom = sessionRoom
)
