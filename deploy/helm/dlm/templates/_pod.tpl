{{- /* The servers' pod, of both modes. */ -}}
{{- define "dlm.pod" -}}
metadata:
  labels:
    {{- include "dlm.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Another configuration restarts the servers, one after the other. A policy does not: it is reread.
    checksum/config: {{ include "dlm.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "dlm.account" . }}
  {{- if .Values.auth.serviceAccounts.enabled }}
  # For auth.jwt.
  automountServiceAccountToken: true
  {{- else }}
  automountServiceAccountToken: false
  {{- end }}
  enableServiceLinks: false
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  # The wait before the end (5s), the configured drain (10s), and then etcd.
  terminationGracePeriodSeconds: 30
  securityContext:
    {{- include "dlm.podSecurity" . | nindent 4 }}
  {{- if ne .Values.antiAffinity "none" }}
  affinity:
    podAntiAffinity:
      {{- if eq .Values.antiAffinity "required" }}
      requiredDuringSchedulingIgnoredDuringExecution:
        - topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "dlm.selector" . | nindent 14 }}
      {{- else }}
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "dlm.selector" . | nindent 16 }}
      {{- end }}
  {{- end }}
  {{- if .Values.spreadZones }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "dlm.selector" . | nindent 10 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: dlm
      image: {{ include "dlm.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [server, --config, /etc/dlm/dlm.yaml]
      env:
        {{- if include "dlm.embedded" . }}
        - name: DLM_CLUSTER_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        {{- end }}
        {{- if dig "limits" "memory" "" .Values.resources }}
        # The Go runtime collects harder before the kernel ends the server.
        - name: GOMEMLIMIT
          valueFrom: {resourceFieldRef: {resource: limits.memory}}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - {name: grpc, containerPort: 50051}
        {{- if include "dlm.embedded" . }}
        - {name: peer, containerPort: 2380}
        {{- end }}
        {{- if .Values.admin.enabled }}
        - {name: admin, containerPort: {{ .Values.admin.port }}}
        {{- end }}
      # The port opens when there is a quorum, which in a cluster needs other pods: the first time, all of them.
      startupProbe:
        tcpSocket: {port: grpc}
        periodSeconds: 2
        failureThreshold: 300
      # Whether it can commit.
      readinessProbe:
        {{- if .Values.tls.enabled }}
        # Kubernetes' own gRPC probe knows no TLS.
        exec: {command: [/dlm, health, --config, /etc/dlm/dlm.yaml, --connect-timeout, 3s]}
        {{- else }}
        grpc: {port: 50051}
        {{- end }}
        periodSeconds: 5
        timeoutSeconds: 5
      # Not whether it can commit: without a quorum a restart helps nobody.
      livenessProbe:
        tcpSocket: {port: grpc}
        periodSeconds: 10
        failureThreshold: 6
      lifecycle:
        # Time for the endpoints to be told of its end. There is no shell in the image.
        preStop: {sleep: {seconds: 5}}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- include "dlm.containerSecurity" . | nindent 8 }}
      # No subPath: what is mounted by one is never updated.
      volumeMounts:
        {{- if include "dlm.embedded" . }}
        - {name: data, mountPath: /data}
        {{- end }}
        - {name: config, mountPath: /etc/dlm, readOnly: true}
        {{- if include "dlm.policy" . }}
        - {name: policy, mountPath: /etc/dlm-policy, readOnly: true}
        {{- end }}
        {{- if .Values.tls.enabled }}
        - {name: tls, mountPath: /etc/dlm-tls, readOnly: true}
        {{- end }}
        {{- if include "dlm.peerTLS" . }}
        - {name: peers-tls, mountPath: /etc/dlm-peers-tls, readOnly: true}
        {{- end }}
        {{- if not (include "dlm.embedded" .) }}
        {{- if .Values.etcd.passwordSecret.name }}
        - {name: etcd-password, mountPath: /etc/dlm-etcd-password, readOnly: true}
        {{- end }}
        {{- if .Values.etcd.tlsSecret }}
        - {name: etcd-tls, mountPath: /etc/dlm-etcd-tls, readOnly: true}
        {{- end }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "dlm.name" . }}}
    {{- with include "dlm.policy" . }}
    - name: policy
      configMap: {name: {{ . }}}
    {{- end }}
    {{- if .Values.tls.enabled }}
    - name: tls
      secret: {secretName: {{ include "dlm.tlsSecret" . }}, defaultMode: 0400}
    {{- end }}
    {{- if include "dlm.peerTLS" . }}
    - name: peers-tls
      secret: {secretName: {{ include "dlm.peersSecret" . }}, defaultMode: 0400}
    {{- end }}
    {{- if not (include "dlm.embedded" .) }}
    {{- with .Values.etcd.passwordSecret.name }}
    - name: etcd-password
      secret: {secretName: {{ . }}, defaultMode: 0400}
    {{- end }}
    {{- with .Values.etcd.tlsSecret }}
    - name: etcd-tls
      secret: {secretName: {{ . }}, defaultMode: 0400}
    {{- end }}
    {{- end }}
{{- end }}
