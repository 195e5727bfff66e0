package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseList converts a list of sections that a file has, or the text of one that the environment
// has.
func parseList[T any](value any) ([]T, error) {
	text, is := value.(string)
	if !is {
		encoded, err := yaml.Marshal(value)
		if err != nil {
			return nil, err
		}
		text = string(encoded)
	}
	var list []T
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&list); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(list) == 0 {
		list = nil // as by default
	}
	return list, nil
}

// writtenList is a list of sections as it would be written in the environment.
func writtenList[T any](list []T) string {
	if len(list) == 0 {
		return ""
	}
	var root yaml.Node
	if err := root.Encode(list); err != nil {
		return fmt.Sprint(err)
	}
	root.Style = yaml.FlowStyle
	text, err := yaml.Marshal(&root)
	if err != nil {
		return fmt.Sprint(err)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\n", " "))
}
