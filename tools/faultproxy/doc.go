// Package faultproxy passes gRPC calls on to a server, message by message, and does to each what a
// network may: lose it, delay it, deliver it twice, or once more much later. What becomes of which
// message is scripted (Next, Every), or drawn at random (SetRates).
//
// A message has a method and a leg, the request's or the reply's. For unary calls the method is the
// last part of the call's path, such as lock_acquire; the messages inside dlm.v1's multiplexed
// Stream are told apart by the call that they carry, such as acquire. Other streams pass untouched.
//
// A lost message leaves silence, as a network does; what the caller does about it is the caller's
// affair. What has been held back is delivered even if its caller has gone.
package faultproxy
