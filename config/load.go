package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// Load puts a configuration together and checks it. The flags of a key, if there are any, are those
// that Flag names; other flags are not looked at. No file is read when file is empty.
//
// The error names every fault that was found, one a line.
func Load(flags *pflag.FlagSet, file string) (Config, error) {
	v := viper.New()
	var faults []error
	if file != "" {
		content, err := readFile(file)
		if err != nil {
			return Config{}, err
		}
		for _, wrong := range unknown("", content) {
			faults = append(faults, fmt.Errorf("%s: %w", file, wrong))
		}
		if err := v.MergeConfigMap(content); err != nil {
			return Config{}, fmt.Errorf("%s: %w", file, err)
		}
	}
	def := Default()
	for _, s := range settings() {
		v.SetDefault(s.name, written(s.field(&def)))
		// Not AutomaticEnv: with it a variable that is named like a section, such as DLM_LOG, hides
		// all keys of it.
		err := v.BindEnv(s.name, Env(s.name))
		if flags != nil {
			if flag := flags.Lookup(Flag(s.name)); flag != nil {
				err = errors.Join(err, v.BindPFlag(s.name, flag))
			}
		}
		if err != nil {
			return Config{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if v.GetString("etcd.endpoints") != "" || len(v.GetStringSlice("etcd.endpoints")) > 0 {
		v.SetDefault("etcd.history", "0s")
	}

	cfg := def
	for _, s := range settings() {
		value := v.Get(s.name)
		if err := assign(s.field(&cfg), value); err != nil {
			if s.secret {
				value = redacted
			}
			faults = append(faults, fault(s.name, value, err.Error()))
		}
	}
	if cfg.Etcd.Password != "" && cfg.Etcd.PasswordFile != "" {
		faults = append(faults, fault("etcd.password-file", cfg.Etcd.PasswordFile, "either this or etcd.password, not both"))
	} else if cfg.Etcd.PasswordFile != "" {
		var err error
		if cfg.Etcd.Password, err = ReadPassword(cfg.Etcd.PasswordFile); err != nil {
			faults = append(faults, fmt.Errorf("etcd.password-file: %w", err))
		}
	}
	return cfg, errors.Join(append(faults, cfg.Validate())...)
}

// ReadPassword reads a file with a password. Newlines at its end do not count.
func ReadPassword(file string) (string, error) {
	text, err := os.ReadFile(file)
	return strings.TrimRight(string(text), "\r\n"), err
}

func readFile(file string) (map[string]any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var content map[string]any
	if err := yaml.Unmarshal(text, &content); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return content, nil
}

// unknown finds what a file has but should not. A section with nothing in it, its lines commented
// out, is all right.
func unknown(prefix string, content map[string]any) []error {
	var faults []error
	for name, value := range content {
		key := prefix + name
		if slices.ContainsFunc(settings(), func(s setting) bool { return s.name == key }) {
			continue
		}
		if !slices.ContainsFunc(settings(), func(s setting) bool { return strings.HasPrefix(s.name, key+".") }) {
			faults = append(faults, fmt.Errorf("%s: there is no such key", key))
			continue
		}
		switch section := value.(type) {
		case nil:
		case map[string]any:
			faults = append(faults, unknown(key+".", section)...)
		default:
			faults = append(faults, fault(key, value, "a section, with keys of its own"))
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return faults
}

// assign converts a value as flags, environment and YAML give it. Nothing is guessed: a number is
// not a duration.
func assign(field, value any) error {
	text, isText := value.(string)
	switch f := field.(type) {
	case *string:
		if !isText {
			return errors.New("text; in YAML put it in quotes")
		}
		*f = text
	case *[]string:
		list, ok := value.([]string)
		switch {
		case isText:
			list = strings.Split(text, ",")
		case !ok:
			items, ok := value.([]any)
			if !ok {
				return errors.New("a list of texts")
			}
			for _, item := range items {
				text, ok := item.(string)
				if !ok {
					return errors.New("a list of texts")
				}
				list = append(list, text)
			}
		}
		*f = nil
		for _, item := range list {
			if item = strings.TrimSpace(item); item != "" {
				*f = append(*f, item)
			}
		}
	case *time.Duration:
		if value == 0 {
			*f = 0
			return nil
		}
		d, err := time.ParseDuration(text)
		if !isText || err != nil {
			return errors.New("a duration with its unit, such as 10s or 3m")
		}
		*f = d
	case *int64:
		switch n := value.(type) {
		case int:
			*f = int64(n)
		case int64:
			*f = n
		default:
			n64, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return errors.New("a whole number")
			}
			*f = n64
		}
	default:
		panic(fmt.Sprintf("no setting is a %T", field))
	}
	return nil
}

// fault is an error that says what is wrong with the value of a key.
func fault(key string, value any, want string) error {
	if s, ok := value.(string); ok {
		return fmt.Errorf("%s: %q: want %s", key, s, want)
	}
	return fmt.Errorf("%s: %+v: want %s", key, value, want)
}
