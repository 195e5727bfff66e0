package config

import (
	"bytes"
	"iter"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const redacted = "(redacted)"

// YAML is the configuration as a file that could be loaded, but for its secrets, which are not
// shown.
func (c Config) YAML() ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range settings() {
		section, path := root, strings.Split(s.name, ".")
		for _, name := range path[:len(path)-1] {
			section = child(section, name)
		}
		value, err := node(s.field(&c))
		if err != nil {
			return nil, err
		}
		if s.secret && value.Value != "" {
			value.Value = redacted
		}
		section.Content = append(section.Content, keyNode(path[len(path)-1]), value)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

// Values yields every key, and its value as it would be written in the environment; of a secret
// only whether there is one.
func (c Config) Values() iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for _, s := range settings() {
			value := written(s.field(&c))
			if s.secret && value != "" {
				value = redacted
			}
			if !yield(s.name, value) {
				return
			}
		}
	}
}

// Changed returns the keys whose values differ between c and other.
func (c Config) Changed(other Config) (keys []string) {
	for _, s := range settings() {
		if written(s.field(&c)) != written(s.field(&other)) {
			keys = append(keys, s.name)
		}
	}
	return keys
}

// child finds or makes the section of that name.
func child(parent *yaml.Node, key string) *yaml.Node {
	for i := 0; i < len(parent.Content); i += 2 {
		if parent.Content[i].Value == key {
			return parent.Content[i+1]
		}
	}
	section := &yaml.Node{Kind: yaml.MappingNode}
	parent.Content = append(parent.Content, keyNode(key), section)
	return section
}

func keyNode(key string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: key}
}

func node(field any) (*yaml.Node, error) {
	switch f := field.(type) {
	case *time.Duration:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: duration(*f)}, nil
	case *int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: FormatSize(*f)}, nil
	}
	if f, is := field.(*[]HoldMax); is {
		texts := holdTexts(*f)
		if texts == nil {
			texts = []holdText{}
		}
		field = texts
	}
	var n yaml.Node
	return &n, n.Encode(field)
}
