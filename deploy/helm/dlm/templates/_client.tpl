{{- /* How a pod of this chart calls the service: its environment, mounts and volumes, of (list . "Secret with a certificate"). */ -}}
{{- define "dlm.clientEnv" -}}
{{- $c := index . 0 -}}
{{- $secret := index . 1 -}}
- {name: DLM_ENDPOINTS, value: {{ include "dlm.endpoint" $c | quote }}}
{{- if $c.Values.tls.enabled }}
- {name: DLM_CLIENT_CA, value: /etc/dlm-ca/ca.crt}
{{- if $secret }}
- {name: DLM_CLIENT_CERT, value: /etc/dlm-client/tls.crt}
- {name: DLM_CLIENT_KEY, value: /etc/dlm-client/tls.key}
{{- else if $c.Values.auth.serviceAccounts.enabled }}
# The file's name; the token itself is in no environment.
- {name: DLM_BEARER_FILE, value: /var/run/dlm/token}
{{- end }}
{{- end }}
{{- end }}

{{- define "dlm.clientMounts" -}}
{{- $c := index . 0 -}}
{{- $secret := index . 1 -}}
{{- if $c.Values.tls.enabled }}
- {name: ca, mountPath: /etc/dlm-ca, readOnly: true}
{{- if $secret }}
- {name: client, mountPath: /etc/dlm-client, readOnly: true}
{{- else if $c.Values.auth.serviceAccounts.enabled }}
- {name: token, mountPath: /var/run/dlm, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- define "dlm.clientVolumes" -}}
{{- $c := index . 0 -}}
{{- $secret := index . 1 -}}
{{- if $c.Values.tls.enabled }}
- name: ca
  secret:
    secretName: {{ include "dlm.tlsSecret" $c }}
    defaultMode: 0400
    items: [{key: ca.crt, path: ca.crt}]
{{- if $secret }}
- name: client
  secret: {secretName: {{ $secret }}, defaultMode: 0400}
{{- else if $c.Values.auth.serviceAccounts.enabled }}
- name: token
  projected:
    defaultMode: 0400
    sources:
      - serviceAccountToken: {audience: {{ $c.Values.auth.serviceAccounts.audience | quote }}, path: token, expirationSeconds: 3600}
{{- end }}
{{- end }}
{{- end }}
