package chart

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/distributed-lock-manager/dlm/deploy/kubernetes/test"
)

// pod is one that the chart has made, whatever makes it.
type pod struct {
	of   string
	meta metav1.ObjectMeta
	spec corev1.PodSpec
}

func pods(objects []runtime.Object) []pod {
	var all []pod
	for _, object := range objects {
		switch o := object.(type) {
		case *appsv1.StatefulSet:
			all = append(all, pod{"the servers", o.Spec.Template.ObjectMeta, o.Spec.Template.Spec})
		case *appsv1.Deployment:
			all = append(all, pod{"the servers", o.Spec.Template.ObjectMeta, o.Spec.Template.Spec})
		case *batchv1.CronJob:
			all = append(all, pod{o.Name, o.Spec.JobTemplate.Spec.Template.ObjectMeta, o.Spec.JobTemplate.Spec.Template.Spec})
		case *corev1.Pod:
			all = append(all, pod{o.Name, o.ObjectMeta, o.Spec})
		}
	}
	return all
}

// Every variant is of Kubernetes' types, to the letter; its pods are let in by the strictest of
// Kubernetes' pod security standards; and what belongs together does.
func TestRender(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for name, file := range variants(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, _ := render(t, file)
			objects, err := test.Decode([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			names := map[string]bool{} // of what is there, by kind
			for _, object := range objects {
				meta, ok := object.(metav1.Object)
				if !ok {
					t.Fatalf("%T has no name", object)
				}
				kind := object.GetObjectKind().GroupVersionKind().Kind
				if names[kind+"/"+meta.GetName()] {
					t.Errorf("there are two of %s %s", kind, meta.GetName())
				}
				names[kind+"/"+meta.GetName()] = true
				for _, label := range []string{"name", "instance", "component", "version", "managed-by"} {
					if meta.GetLabels()["app.kubernetes.io/"+label] == "" {
						t.Errorf("%s %s has no label %s", kind, meta.GetName(), label)
					}
				}
			}
			servers := 0
			for _, p := range pods(objects) {
				for _, result := range evaluator.EvaluatePod(restricted, &p.meta, &p.spec) {
					if !result.Allowed {
						t.Errorf("%s: %s: %s", p.of, result.ForbiddenReason, result.ForbiddenDetail)
					}
				}
				checkPod(t, p, names)
				if p.of == "the servers" {
					servers++
				}
			}
			if servers != 1 {
				t.Errorf("%d sets of servers", servers)
			}
			checkSelectors(t, objects)
		})
	}
}

func checkPod(t *testing.T, p pod, names map[string]bool) {
	t.Helper()
	volumes := map[string]bool{}
	for _, v := range p.spec.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap != nil && v.ConfigMap.Name != "our-policy" && !names["ConfigMap/"+v.ConfigMap.Name] {
			t.Errorf("%s: there is no ConfigMap %s", p.of, v.ConfigMap.Name)
		}
		if claim := v.PersistentVolumeClaim; claim != nil && claim.ClaimName != "nfs" && !names["PersistentVolumeClaim/"+claim.ClaimName] {
			t.Errorf("%s: there is no PersistentVolumeClaim %s", p.of, claim.ClaimName)
		}
	}
	if account := p.spec.ServiceAccountName; account != "" && account != "given" && !names["ServiceAccount/"+account] {
		t.Errorf("%s: there is no ServiceAccount %s", p.of, account)
	}
	for _, c := range p.spec.Containers {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] && m.Name != "data" {
				t.Errorf("%s mounts %s, which is no volume", p.of, m.Name)
			}
			if m.SubPath != "" || !m.ReadOnly && m.Name != "data" && m.Name != "backup" {
				t.Errorf("%s mounts %s by subPath %q, read-only = %t", p.of, m.Name, m.SubPath, m.ReadOnly)
			}
			delete(volumes, m.Name)
		}
		if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("%s could write to its image", p.of)
		}
		limited := false
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				t.Errorf("%s has a secret in its environment, %s", p.of, e.Name)
			}
			limited = limited || e.Name == "GOMEMLIMIT" && e.ValueFrom.ResourceFieldRef.Resource == "limits.memory"
		}
		if p.of == "the servers" && limited == c.Resources.Limits.Memory().IsZero() {
			t.Errorf("memory is limited to %s, and the Go runtime is told so: %t", c.Resources.Limits.Memory(), limited)
		}
	}
	for name := range volumes {
		t.Errorf("%s does not mount %s", p.of, name)
	}
}

// The services find the servers and nothing else, by ports that these have.
func checkSelectors(t *testing.T, objects []runtime.Object) {
	t.Helper()
	all := pods(objects)
	for _, object := range objects {
		if policy, ok := object.(*networkingv1.NetworkPolicy); ok && strings.HasPrefix(t.Name(), "TestRender/everything") {
			for _, p := range all {
				in := false
				for _, rule := range policy.Spec.Ingress {
					for _, from := range rule.From {
						selector, err := metav1.LabelSelectorAsSelector(from.PodSelector)
						in = in || err == nil && rule.Ports[0].Port.StrVal == "grpc" && selector.Matches(labels.Set(p.meta.Labels))
					}
				}
				if in == (p.of == "the servers") {
					t.Errorf("%s may connect to the service: %t", p.of, in)
				}
			}
		}
		service, ok := object.(*corev1.Service)
		if !ok {
			continue
		}
		for _, p := range all {
			found := labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(p.meta.Labels))
			if found != (p.of == "the servers") {
				t.Errorf("service %s finds %s: %t", service.Name, p.of, found)
			}
			for _, port := range service.Spec.Ports {
				has := false
				for _, c := range p.spec.Containers {
					for _, of := range c.Ports {
						has = has || of.Name == port.TargetPort.StrVal
					}
				}
				if found && !has {
					t.Errorf("service %s leads to the port %s, which there is none of", service.Name, port.TargetPort.StrVal)
				}
			}
		}
	}
}

// What the servers are given they take: the configuration and the policy of every variant, checked
// by dlm itself, with certificates where the pods have theirs.
func TestServersTakeIt(t *testing.T) {
	dir := t.TempDir()
	dlm := filepath.Join(dir, "dlm")
	do(t, root, "go", "build", "-o", dlm, "./cmd/dlm")
	do(t, dir, dlm, "dev-certs", filepath.Join(dir, "made"))
	for to, from := range map[string]string{"tls.crt": "server.crt", "tls.key": "server.key", "ca.crt": "ca.crt"} {
		write(t, filepath.Join(dir, "pair", to), read(t, filepath.Join(dir, "made", from)))
	}
	write(t, filepath.Join(dir, "pair", "password"), "secret")
	write(t, filepath.Join(dir, "pair", "token"), "a.b.c")
	write(t, filepath.Join(dir, "pair", "policy.yaml"), "rules: [{identity: 'dns:a', locks: ['*'], allow: [read]}]\n")
	for name, file := range variants(t) {
		t.Run(name, func(t *testing.T) {
			text, _ := render(t, file)
			objects, err := test.Decode([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			checked := false
			for _, object := range objects {
				m, ok := object.(*corev1.ConfigMap)
				if !ok {
					continue
				}
				if text, ok := m.Data["policy.yaml"]; ok {
					do(t, dir, dlm, "policy", "check", write(t, filepath.Join(dir, name+"-policy.yaml"), text))
				}
				if text, ok := m.Data["dlm.yaml"]; ok {
					for _, mounted := range []string{"/etc/dlm-tls", "/etc/dlm-peers-tls", "/etc/dlm-policy", "/etc/dlm-etcd-tls", "/etc/dlm-etcd-password", "/var/run/secrets/kubernetes.io/serviceaccount"} {
						text = strings.ReplaceAll(text, mounted+"/", filepath.Join(dir, "pair")+"/")
					}
					args := []string{"config", "check", "--config", write(t, filepath.Join(dir, name+".yaml"), text)}
					if strings.Contains(text, "\ncluster:") {
						args = append(args, "--cluster-name", m.Name+"-0") // as the pod's environment says
					}
					do(t, dir, dlm, args...)
					checked = true
				}
			}
			if !checked {
				t.Error("there is no configuration")
			}
		})
	}
	checkCommands(t, dlm)
}

// checkCommands checks that the commands of the chart's pods are commands of dlm, with flags that
// it has.
func checkCommands(t *testing.T, dlm string) {
	t.Helper()
	text, _ := render(t, "testdata/plain.yaml")
	objects, err := test.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, p := range pods(objects) {
		for _, c := range p.spec.Containers {
			var args []string
			for _, arg := range c.Args {
				if arg == "--" {
					break
				}
				args = append(args, arg)
			}
			checked++
			// Help comes before anything is done, and after what is parsed. Behind a lock's name it
			// would be the command to run.
			at := len(args)
			if args[0] == "lock" {
				at = 1
			}
			do(t, root, dlm, slices.Insert(args, at, "--help")...)
		}
	}
	if checked < 3 {
		t.Errorf("%d commands", checked)
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// do runs a command that must succeed.
func do(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
}
