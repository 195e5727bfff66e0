//go:build scenarios

package scenarios_test

// cycles is how many sections TestCycles has of each client.
const cycles = 50
