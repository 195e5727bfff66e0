{{- define "dlm.name" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "dlm.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end }}

{{- /* Of the servers' pods, and nothing else's. */ -}}
{{- define "dlm.selector" -}}
app.kubernetes.io/name: dlm
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- /* Of an object: (list . "component"). */ -}}
{{- define "dlm.labels" -}}
{{- $c := index . 0 -}}
app.kubernetes.io/name: dlm
app.kubernetes.io/instance: {{ $c.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/version: {{ $c.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $c.Release.Service }}
helm.sh/chart: {{ $c.Chart.Name }}-{{ $c.Chart.Version }}
{{- end }}

{{- /* What every object's metadata has: (list . "component" "suffix of the name"). */ -}}
{{- define "dlm.metadata" -}}
{{- $c := index . 0 -}}
name: {{ include "dlm.name" $c }}{{ index . 2 }}
{{- with $c.Values.namespaceOverride }}
namespace: {{ . }}
{{- end }}
labels:
  {{- include "dlm.labels" . | nindent 2 }}
{{- end }}

{{- define "dlm.embedded" -}}
{{- if eq .Values.mode "embedded" }}true{{ end -}}
{{- end }}

{{- define "dlm.replicas" -}}
{{- .Values.replicas | default (ternary 3 2 (eq .Values.mode "embedded")) -}}
{{- end }}

{{- define "dlm.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "dlm.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "dlm.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- define "dlm.tlsSecret" -}}
{{- .Values.tls.secret | default (printf "%s-tls" (include "dlm.name" .)) -}}
{{- end }}

{{- define "dlm.peersSecret" -}}
{{- .Values.peerTLS.secret | default (printf "%s-peers-tls" (include "dlm.name" .)) -}}
{{- end }}

{{- define "dlm.peerTLS" -}}
{{- if and .Values.peerTLS.enabled (include "dlm.embedded" .) }}true{{ end -}}
{{- end }}

{{- define "dlm.policy" -}}
{{- if .Values.auth.policyConfigMap -}}
{{ .Values.auth.policyConfigMap }}
{{- else if .Values.auth.rules -}}
{{ include "dlm.name" . }}-policy
{{- end -}}
{{- end }}

{{- /* Whether calls without an identity are refused. */ -}}
{{- define "dlm.identities" -}}
{{- if or (include "dlm.policy" .) .Values.auth.serviceAccounts.enabled .Values.auth.jwt (and .Values.tls.enabled (ne .Values.tls.clientAuth "none")) }}true{{ end -}}
{{- end }}

{{- /* Where clients within Kubernetes connect. */ -}}
{{- define "dlm.endpoint" -}}
{{ include "dlm.name" . }}.{{ include "dlm.namespace" . }}.svc:{{ .Values.service.port }}
{{- end }}

{{- define "dlm.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
# It lets the process read its keys, too, which nobody else may.
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "dlm.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* What is wrong with values that go together badly; what is wrong with one alone the schema says. */ -}}
{{- define "dlm.check" -}}
{{- $v := .Values -}}
{{- $embedded := include "dlm.embedded" . -}}
{{- if and (not $embedded) (not $v.etcd.endpoints) -}}
{{- fail "mode external needs etcd.endpoints" -}}
{{- end -}}
{{- if and $embedded $v.etcd.endpoints -}}
{{- fail "etcd.endpoints are for mode external; mode embedded has an etcd of its own" -}}
{{- end -}}
{{- if and $embedded (eq (mod (int (include "dlm.replicas" .)) 2) 0) -}}
{{- fail (printf "replicas is %s: a cluster of an even number survives no more than one of a server less" (include "dlm.replicas" .)) -}}
{{- end -}}
{{- if not $v.insecure -}}
{{- if not $v.tls.enabled -}}
{{- fail "clients would connect in plain text: set tls.enabled, or consent by insecure=true" -}}
{{- end -}}
{{- if and $embedded (not $v.peerTLS.enabled) -}}
{{- fail "the servers would connect to each other in plain text: set peerTLS.enabled, or consent by insecure=true" -}}
{{- end -}}
{{- end -}}
{{- if and $v.tls.enabled (not $v.tls.secret) (not $v.certManager.enabled) -}}
{{- fail "tls.enabled needs tls.secret or certManager.enabled" -}}
{{- end -}}
{{- if and (include "dlm.peerTLS" .) (not $v.peerTLS.secret) (not $v.certManager.enabled) -}}
{{- fail "peerTLS.enabled needs peerTLS.secret or certManager.enabled" -}}
{{- end -}}
{{- if and $v.tls.enabled $v.peerTLS.enabled $v.tls.secret (eq $v.tls.secret $v.peerTLS.secret) -}}
{{- fail "tls.secret and peerTLS.secret are the same: whoever has a client's certificate would be a peer" -}}
{{- end -}}
{{- if and $v.certManager.issuer $v.certManager.peersIssuer (eq (toJson $v.certManager.issuer) (toJson $v.certManager.peersIssuer)) -}}
{{- fail "certManager.issuer and certManager.peersIssuer are the same: whoever has a client's certificate would be a peer" -}}
{{- end -}}
{{- if and (not $v.tls.enabled) (or (include "dlm.policy" .) $v.auth.serviceAccounts.enabled $v.auth.jwt) -}}
{{- fail "auth needs tls.enabled: without TLS nobody can be asked who they are" -}}
{{- end -}}
{{- if and $v.auth.rules $v.auth.policyConfigMap -}}
{{- fail "auth.rules and auth.policyConfigMap are two policies" -}}
{{- end -}}
{{- if and $v.auth.revoked (not $v.auth.rules) -}}
{{- fail "auth.revoked needs auth.rules; with auth.policyConfigMap it belongs there" -}}
{{- end -}}
{{- if and (include "dlm.policy" .) (not (or $v.auth.serviceAccounts.enabled $v.auth.jwt (ne $v.tls.clientAuth "none"))) -}}
{{- fail "there is a policy, and nobody is asked who they are: tls.clientAuth is none, and no tokens count" -}}
{{- end -}}
{{- if and $v.etcd.username (not $v.etcd.passwordSecret.name) -}}
{{- fail "etcd.username needs etcd.passwordSecret.name" -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled (not $v.admin.enabled) -}}
{{- fail "serviceMonitor.enabled needs admin.enabled: there is nothing to scrape" -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled (include "dlm.identities" .) (not $v.serviceMonitor.clientSecret) -}}
{{- fail "the servers ask who scrapes them: serviceMonitor.clientSecret" -}}
{{- end -}}
{{- if and $v.backup.enabled (include "dlm.identities" .) (not $v.backup.clientSecret) (not $v.auth.serviceAccounts.enabled) -}}
{{- fail "the servers ask who takes a snapshot: backup.clientSecret, or auth.serviceAccounts.enabled" -}}
{{- end -}}
{{- if and $v.admin.enabled (has (int $v.admin.port) (list 50051 2379 2380)) -}}
{{- fail (printf "admin.port is %d, which is taken" (int $v.admin.port)) -}}
{{- end -}}
{{- end }}
