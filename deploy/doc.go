// Package deploy holds what operators run: the sample configuration, the container image, compose
// files, Kubernetes manifests and a systemd unit. Its Go code is tests of them.
package deploy
