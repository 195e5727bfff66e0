package main

import (
	"errors"
	"fmt"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// holdLimits are how long the store lets locks be held.
func holdLimits(h config.Hold) (limits []etcdstore.HoldLimit) {
	for _, of := range h.Max {
		limit := etcdstore.HoldLimit{Prefix: of.Prefix, Max: of.MaxHold}
		if of.All() {
			limit.Prefix = ""
		}
		limits = append(limits, limit)
	}
	return limits
}

// checkHolds finds prefixes that no lock's name has.
func checkHolds(h config.Hold) error {
	var all []error
	for _, limit := range holdLimits(h) {
		if limit.Prefix == "" {
			continue
		}
		if err := etcdstore.CheckLock(limit.Prefix); err != nil {
			all = append(all, fmt.Errorf("hold.max: %w (a prefix is written without a slash at its end)", err))
		}
	}
	return errors.Join(all...)
}
