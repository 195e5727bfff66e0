package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/config"
)

// What an address has that looks like a user's password is refused, and shown nowhere.
func TestAddressesHaveNoUsers(t *testing.T) {
	for _, endpoint := range []string{
		"https://root:geheim@h:2379", "http://geheim@h:2379", "root:geheim@h:2379", "geheim@h:2379", "https://h:2379?token=geheim",
		"https://h:2379/#geheim", "ftp://root:geheim@h:2379", "https://root:geheim%zz@h:2379", "https://root:geheim@h", "h:2379@geheim",
		"https://root:ge@heim@h:2379", "root:geheim/@h:2379",
	} {
		for _, text := range []string{
			fmt.Sprintf("etcd: {endpoints: [%q]}", endpoint),
			fmt.Sprintf("etcd: {endpoints: [%q], tls: {ca: /no}}", endpoint),
			fmt.Sprintf("listen: %q", endpoint),
			fmt.Sprintf("cluster: {peer-listen: ':1', members: [%q]}", "dlm="+endpoint),
			fmt.Sprintf("cluster: {peer-listen: ':1', members: ['dlm=h:1'], peer-advertise: %q}", endpoint),
		} {
			_, err := load(t, text)
			if err == nil {
				t.Errorf("%s: no fault", text)
			} else if strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "heim@") {
				t.Errorf("%s: the fault tells the password: %v", text, err)
			}
		}
		if err := config.CheckEtcdEndpoint(endpoint); err == nil || strings.Contains(err.Error(), "heim") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	for _, endpoint := range []string{"h:2379", "http://h:2379", "https://h:2379/", "[::1]:2379", "https://[::1]:2379"} {
		if err := config.CheckEtcdEndpoint(endpoint); err != nil {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

// Files that others may write are refused: they could put a password, key or authority of their own
// in the place of this server's. Secrets that everybody may read are told.
func TestModesOfFiles(t *testing.T) {
	ca, cert, key := pems(t)
	password := write(t, "password", "geheim")
	text := fmt.Sprintf("etcd: {endpoints: ['h:1'], username: u, password-file: %q, tls: {ca: %q, cert: %q, key: %q}}", password, ca, cert, key)
	secret := map[string]string{"etcd.password-file": password, "etcd.tls.key": key}
	others := map[string]string{"etcd.tls.ca": ca, "etcd.tls.cert": cert}
	chmod := func(file string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	check := func(name, file string, isSecret bool) {
		t.Helper()
		defer chmod(file, 0o600)
		for mode, tells := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o440: false, 0o660: false, 0o644: true, 0o444: true} {
			chmod(file, mode)
			cfg, err := load(t, text)
			if err != nil {
				t.Errorf("%s with mode %v: %v", name, mode, err)
			}
			got := strings.Join(cfg.Exposed(), "\n")
			if tells = tells && isSecret; tells != strings.Contains(got, name) || tells != strings.Contains(got, file) {
				t.Errorf("%s with mode %v: exposed is %q", name, mode, got)
			}
		}
		for _, mode := range []os.FileMode{0o602, 0o666, 0o622} {
			chmod(file, mode)
			if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "everybody may write to it") {
				t.Errorf("%s with mode %v: %v", name, mode, err)
			}
		}
	}
	for name, file := range secret {
		check(name, file, true)
	}
	for name, file := range others {
		check(name, file, false)
	}
	chmod(password, 0o666)
	if _, err := config.ReadPassword(password); err == nil {
		t.Error("a password was read that everybody may write to")
	}
	link := filepath.Join(t.TempDir(), "link") // as Kubernetes has them
	if err := os.Symlink(password, link); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadPassword(link); err == nil {
		t.Error("a password was read, by a link, that everybody may write to")
	}
}

// A password in the configuration makes a secret of its file.
func TestModeOfTheConfiguration(t *testing.T) {
	for text, want := range map[string]bool{
		"etcd: {endpoints: ['h:1'], username: u, password: geheim}": true,
		"etcd: {endpoints: ['h:1']}":                                false,
	} {
		file := write(t, "dlm.yaml", text)
		for mode, exposed := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: want} {
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Load(nil, file)
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Exposed(); exposed != (len(got) == 1) {
				t.Errorf("%s with mode %v: exposed is %q", text, mode, got)
			}
		}
	}
}
