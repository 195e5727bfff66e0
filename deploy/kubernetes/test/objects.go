// Package test decodes the Kubernetes manifests strictly, with the types of Kubernetes, of
// cert-manager and of the Prometheus operator: a misspelt field is an error. It is a module of its
// own because nothing else here needs those.
package test

import (
	"bytes"
	"fmt"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// Documents are the objects in a file, without those that have nothing but comments.
func Documents(text []byte) [][]byte {
	var documents [][]byte
	for _, document := range bytes.Split(append([]byte("\n"), text...), []byte("\n---")) {
		content := false
		for line := range strings.Lines(string(document)) {
			line = strings.TrimSpace(line)
			content = content || line != "" && !strings.HasPrefix(line, "#")
		}
		if content {
			documents = append(documents, bytes.Trim(document, "\n"))
		}
	}
	return documents
}

// Decode returns the objects in a file. What their types do not have is an error.
func Decode(text []byte) ([]runtime.Object, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, batchv1.AddToScheme, certmanagerv1.AddToScheme, corev1.AddToScheme, monitoringv1.AddToScheme,
		networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	var objects []runtime.Object
	for i, document := range Documents(text) {
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("object %d: %w\n%s", i+1, err, document)
		}
		objects = append(objects, object)
	}
	return objects, nil
}
