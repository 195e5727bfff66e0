// Package sealed checks what ends with its own SHA-256, as etcd's snapshots do: a database, whose
// size is a multiple of 512 bytes, and the 32 bytes of the hash of it.
package sealed
