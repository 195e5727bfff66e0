//go:build !linux

package main

import (
	"errors"
	"syscall"
)

func apart() *syscall.SysProcAttr { return nil }

func cannotBeApart() error { return errors.New("only Linux has the namespaces") }
