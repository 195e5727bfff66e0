package client

// Limits of the servers that this package has to know, and may not import.
const (
	MinTTL      = minTTL
	MaxTTL      = maxTTL
	MaxLabel    = maxLabel
	MaxMessage  = maxMessage
	MaxPiece    = maxPiece
	SessionRoom = sessionRoom
	MaxLast     = maxLast
)

// How long Close waits for servers.
const (
	CloseTimeout = closeTimeout
	LastTry      = lastTry
)

// AtLoss has f called when a session of the client is lost, before its holders are told.
func AtLoss(c *Client, f func()) { c.atLoss = f }

// Endpoints returns the endpoints that a client tries.
func Endpoints(c *Client) []string { return c.cfg.Endpoints }
