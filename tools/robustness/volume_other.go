//go:build !linux

package main

import "errors"

func mountVolume(string) error { return errors.ErrUnsupported }

func fill(string) error { return errors.ErrUnsupported }

func makeRoom(string) error { return errors.ErrUnsupported }
