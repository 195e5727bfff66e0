package main

import (
	"math/rand/v2"

	"github.com/distributed-lock-manager/dlm/client"
)

func lingering(*client.Config, *rand.Rand) {}
