{{- /* dlm.yaml. */ -}}
{{- define "dlm.config" -}}
{{- $name := include "dlm.name" . -}}
listen: :50051
{{- if .Values.insecure }}
# Consent to plain text: whoever reaches a port can do anything, and the network policy is all that keeps them away.
insecure: true
{{- end }}
{{- if include "dlm.embedded" . }}
data-dir: /data
{{- end }}
{{- if .Values.admin.enabled }}
admin:
  listen: :{{ .Values.admin.port }}
  {{- if .Values.admin.pprof }}
  pprof: true
  {{- end }}
{{- end }}
{{- if .Values.tls.enabled }}
tls:
  cert: /etc/dlm-tls/tls.crt
  key: /etc/dlm-tls/tls.key
  {{- if ne .Values.tls.clientAuth "none" }}
  client-ca: /etc/dlm-tls/ca.crt
  {{- end }}
  {{- if eq .Values.tls.clientAuth "request" }}
  # A certificate is looked at if there is one, for clients that have a token instead.
  {{- end }}
  client-auth: {{ .Values.tls.clientAuth }}
auth:
  identity: {{ .Values.auth.identity }}
  {{- if include "dlm.policy" . }}
  policy: /etc/dlm-policy/policy.yaml
  {{- end }}
  {{- if or .Values.auth.serviceAccounts.enabled .Values.auth.jwt }}
  jwt:
    {{- with .Values.auth.serviceAccounts }}
    {{- if .enabled }}
    - issuer: {{ .issuer | quote }}
      audience: {{ .audience | quote }}
      algorithms: {{ .algorithms | toJson }}
      jwks: https://kubernetes.default.svc/openid/v1/jwks
      # The API server wants to know who asks: this pod's own account.
      jwks-ca: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
      jwks-token-file: /var/run/secrets/kubernetes.io/serviceaccount/token
    {{- end }}
    {{- end }}
    {{- with .Values.auth.jwt }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- if .Values.audit.enabled }}
audit:
  file: stderr
  {{- if .Values.audit.required }}
  required: true
  {{- end }}
{{- end }}
{{- if include "dlm.embedded" . }}
cluster:
  # cluster.name is the pod's, by DLM_CLUSTER_NAME.
  members:
    {{- range $i := until (int (include "dlm.replicas" .)) }}
    - {{ $name }}-{{ $i }}={{ $name }}-{{ $i }}.{{ $name }}-peers:2380
    {{- end }}
  peer-listen: :2380
  # Within the pod only: for `dlm member`.
  client-listen: 127.0.0.1:2379
  # "new" may stay: a pod with an empty volume founds nothing unless all of them are empty. For the replacement of a lost
  # member this must be, and may stay, "existing".
  state: {{ .Values.cluster.state }}
  quota: {{ .Values.cluster.quota }}
  {{- if include "dlm.peerTLS" . }}
  tls:
    ca: /etc/dlm-peers-tls/ca.crt
    cert: /etc/dlm-peers-tls/tls.crt
    key: /etc/dlm-peers-tls/tls.key
  {{- end }}
{{- else }}
etcd:
  endpoints:
    {{- range .Values.etcd.endpoints }}
    - {{ . | quote }}
    {{- end }}
  prefix: {{ .Values.etcd.prefix | quote }}
  {{- if .Values.etcd.username }}
  username: {{ .Values.etcd.username | quote }}
  password-file: /etc/dlm-etcd-password/{{ .Values.etcd.passwordSecret.key }}
  {{- end }}
  {{- if .Values.etcd.tlsSecret }}
  tls:
    ca: /etc/dlm-etcd-tls/ca.crt
    {{- if .Values.etcd.clientCertificate }}
    cert: /etc/dlm-etcd-tls/tls.crt
    key: /etc/dlm-etcd-tls/tls.key
    {{- end }}
  {{- end }}
{{- end }}
{{- with .Values.config }}
{{ toYaml . }}
{{- end }}
{{- end }}
