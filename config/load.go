package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// Load puts a configuration together and checks it, and the files that it names. The flags of a
// key, if there are any, are those that Flag names; other flags are not looked at. No file is read
// when file is empty.
//
// The error names every fault that was found, one a line. What it returns beside it has defaults in
// place of the values that could not be understood.
func Load(flags *pflag.FlagSet, file string) (Config, error) {
	v := viper.New()
	v.AllowEmptyEnv(true) // as for flags: empty is a value
	var ofFile []error
	secretIn := ""
	if file != "" {
		content, err := readFile(file)
		if err != nil {
			ofFile = append(ofFile, err)
		}
		for _, one := range unknown("", content) {
			ofFile = append(ofFile, fmt.Errorf("%s: %w", file, one))
		}
		if section, ok := content["etcd"].(map[string]any); ok && section["password"] != nil && section["password"] != "" {
			secretIn = file
		}
		if err := v.MergeConfigMap(content); err != nil {
			ofFile = append(ofFile, fmt.Errorf("%s: %w", file, err))
		}
	}
	def := Default()
	for _, s := range settings() {
		v.SetDefault(s.name, written(s.field(&def)))
		// Not AutomaticEnv: with it a variable that is named like a section, such as DLM_LOG, hides
		// all keys of it.
		err := v.BindEnv(s.name, Env(s.name))
		if flag := flagOf(flags, s.name); flag != nil {
			err = errors.Join(err, v.BindPFlag(s.name, flag))
		}
		if err != nil {
			return def, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if v.GetString("tls.client-ca") != "" || v.GetString("auth.policy") != "" || given(v.Get("auth.jwt")) {
		v.SetDefault("coursework.lock", "") // it is to be asked for by name
	}
	if v.GetString("etcd.endpoints") != "" || len(v.GetStringSlice("etcd.endpoints")) > 0 {
		v.SetDefault("etcd.history", "0s")
	}

	cfg := def
	cfg.file = secretIn
	var found faults
	for _, s := range settings() {
		value := v.Get(s.name)
		if err := assign(s.field(&cfg), value); err != nil {
			if s.secret {
				value = redacted
			}
			found = append(found, wrong(s.name, value, err.Error()))
		}
	}
	if cfg.Etcd.Password != "" && cfg.Etcd.PasswordFile != "" {
		found = append(found, wrong("etcd.password-file", cfg.Etcd.PasswordFile, "either this or etcd.password, not both"))
	} else if cfg.Etcd.PasswordFile != "" {
		err := CheckRegular(cfg.Etcd.PasswordFile)
		if err == nil {
			cfg.Etcd.Password, err = ReadPassword(cfg.Etcd.PasswordFile)
		}
		if err != nil {
			found = append(found, unusable("etcd.password-file", cfg.Etcd.PasswordFile, err))
		}
	}
	cfg.Etcd.TLS.check("etcd.tls", &found)
	cfg.Cluster.TLS.check("cluster.tls", &found)
	cfg.TLS.check("tls", &found)
	found = append(found, cfg.faults()...)
	for i, f := range found {
		found[i].from = source(flags, f.key)
	}
	return cfg, errors.Join(append(ofFile, found.err())...)
}

// given reports whether there is anything in a list, or in the text of one.
func given(list any) bool {
	switch list := list.(type) {
	case string:
		return list != ""
	case []any:
		return len(list) > 0
	}
	return list != nil
}

func flagOf(flags *pflag.FlagSet, key string) *pflag.Flag {
	if flags == nil {
		return nil
	}
	return flags.Lookup(Flag(key))
}

// source says of a value from the environment, which is easily overlooked, that it is.
func source(flags *pflag.FlagSet, key string) string {
	value, set := os.LookupEnv(Env(key))
	if flag := flagOf(flags, key); !set || flag != nil && flag.Changed {
		return ""
	}
	if value == "" {
		return "; " + Env(key) + " is set, and empty: unset it to have the file or the default count"
	}
	return "; from " + Env(key)
}

// readFile reads a file that is one document.
func readFile(file string) (map[string]any, error) {
	text, err := readBounded(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %s: %w", file, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var content map[string]any
	if err := decoder.Decode(&content); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		return content, fmt.Errorf("%s: a second document begins at line %d, of which nothing would be read: want one document",
			file, second.Line)
	} else if !errors.Is(err, io.EOF) {
		return content, fmt.Errorf("%s: %w", file, err)
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
			faults = append(faults, wrong(key, value, "a section, with keys of its own"))
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
			bytes, ok := ParseSize(text)
			if !ok {
				return errors.New("a whole number of bytes, or one with its unit, such as 512MiB or 4GiB (KiB, MiB, GiB, KB, MB, GB)")
			}
			*f = bytes
		}
	case *int:
		n, is := value.(int)
		if isText {
			parsed, err := strconv.Atoi(text)
			n, is = parsed, err == nil
		}
		if !is {
			return errors.New("a whole number")
		}
		*f = n
	case *[]JWT:
		list, err := parseList[JWT](value)
		if err != nil {
			return errors.New("a list of sections with issuer, audience, jwks, algorithms, jwks-ca and jwks-token-file")
		}
		*f = list
	case *[]HoldMax:
		list, err := parseHoldMax(value)
		if err != nil {
			return err
		}
		*f = list
	case *bool:
		b, is := value.(bool)
		if isText {
			b, is = text == "true", text == "true" || text == "false"
		}
		if !is {
			return errors.New("true or false")
		}
		*f = b
	default:
		panic(fmt.Sprintf("no setting is a %T", field))
	}
	return nil
}
