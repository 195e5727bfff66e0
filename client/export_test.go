package client

// Limits of the servers that this package has to know, and may not import.
const (
	MaxLabel    = maxLabel
	MaxMessage  = maxMessage
	MaxPiece    = maxPiece
	SessionRoom = sessionRoom
)

// AtLoss has f called when a session of the client is lost, before its holders are told.
func AtLoss(c *Client, f func()) { c.atLoss = f }
