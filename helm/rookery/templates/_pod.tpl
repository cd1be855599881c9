{{/*
What the pods of all services have in common. The context is one set of them:
  root, component, fullname, values, port, and for relays and STUN region and what _regions.tpl tells.
*/}}

{{- define "rookery.podTemplate" -}}
{{- $v := .values -}}
metadata:
  labels:
    {{- include "rookery.podLabels" . | nindent 4 }}
    {{- with $v.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $v.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "rookery.podBasics" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ add (int .root.Values.drain.preStopSeconds) (int .root.Values.drain.drainSeconds) 5 }}
  topologySpreadConstraints:
    {{- include "rookery.spread" . | trim | nindent 4 }}
  {{- with $v.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      {{- include "rookery.container" . | nindent 6 }}
      ports:
        {{- include "rookery.containerPort" . | nindent 8 }}
        - name: admin
          containerPort: 9090
      startupProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 1
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 2
      {{- if gt (int .root.Values.drain.preStopSeconds) 0 }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ .root.Values.drain.preStopSeconds }}}
      {{- end }}
      {{- with $v.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  {{- with include "rookery.volumes" . | trim }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Of pods that are no service too. */}}
{{- define "rookery.podBasics" -}}
{{- $v := .values -}}
serviceAccountName: {{ include "rookery.fullname" .root }}-{{ .component }}
automountServiceAccountToken: false
# Variables named after Services begin with ROOKERY_ too.
enableServiceLinks: {{ .serviceLinks | default false }}
{{- with .root.Values.global.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml $v.podSecurityContext | nindent 2 }}
{{- with $v.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $v.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Image, rights, settings and mounts: the same program with the same settings wherever it runs. */}}
{{- define "rookery.container" -}}
{{- $v := .values -}}
image: {{ include "rookery.image" (dict "root" .root "image" $v.image) }}
imagePullPolicy: {{ .root.Values.global.image.pullPolicy }}
securityContext:
  {{- include "rookery.rights" . | nindent 2 }}
env:
  {{- include "rookery.env" . | nindent 2 }}
{{- with include "rookery.mounts" . | trim }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* To load a program into the kernel STUN needs capabilities, and what Kubernetes adds nobody has but root. */}}
{{- define "rookery.rights" -}}
{{- $rights := deepCopy .values.securityContext -}}
{{- if and (eq .component "stun") .values.settings.xdp -}}
{{- $capabilities := dict "drop" (list "ALL") "add" (list "BPF" "NET_ADMIN" "PERFMON") -}}
{{- $rights = mustMergeOverwrite $rights (dict "runAsNonRoot" false "runAsUser" 0 "capabilities" $capabilities) -}}
{{- end -}}
{{- toYaml $rights -}}
{{- end -}}

{{/*
A job of that program, which Helm runs when `hook` says: (dict "set" . "name" "migrate" "hook" "pre-upgrade" "args" (list "migrate")),
and "annotations" of its pod. A second one replaces the first; nothing is left of one that is done.
*/}}
{{- define "rookery.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "rookery.fullname" .set.root }}-{{ .name }}
  namespace: {{ .set.root.Release.Namespace }}
  labels:
    {{- include "rookery.labels" (dict "root" .set.root "component" .name) | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .hook }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  # Postgres may still be starting.
  backoffLimit: 10
  activeDeadlineSeconds: 600
  template:
    metadata:
      labels:
        {{- include "rookery.podLabels" (dict "root" .set.root "component" .name) | nindent 8 }}
      {{- with .annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "rookery.podBasics" .set | nindent 6 }}
      # With OnFailure the pod, and its log, would go with the Job's last try.
      restartPolicy: Never
      containers:
        - name: {{ .set.component }}
          {{- include "rookery.container" .set | nindent 10 }}
          args: {{ toJson .args }}
          {{- with .set.values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
      {{- with include "rookery.volumes" .set | trim }}
      volumes:
        {{- . | nindent 8 }}
      {{- end }}
{{- end -}}

{{- define "rookery.spread" -}}
{{- if not (kindIs "invalid" .values.topologySpreadConstraints) -}}
{{- toYaml .values.topologySpreadConstraints -}}
{{- else -}}
{{- $component := . -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- topologyKey: {{ . }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "rookery.selector" $component | nindent 6 }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "rookery.containerPort" -}}
{{- if eq .component "stun" -}}
- name: stun
  containerPort: 3478
  protocol: UDP
  {{- if eq .values.expose "HostPort" }}
  hostPort: {{ .port }}
  {{- end }}
{{- else if eq .component "relay" -}}
- name: relay
  containerPort: 8083
  {{- if eq .values.expose "HostPort" }}
  hostPort: {{ .port }}
  {{- end }}
{{- else -}}
- name: {{ include "rookery.portName" . }}
  containerPort: {{ .listenPort }}
{{- end -}}
{{- end -}}

{{- define "rookery.portName" -}}
{{- ternary "http" "grpc" (eq .component "dashboard-api") -}}
{{- end -}}

{{- define "rookery.env" -}}
{{- $v := .values -}}
- name: ROOKERY_INSTANCE
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- if eq .component "relay" }}
- name: POD_INDEX
  valueFrom: {fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}}
{{- end }}
{{- $settings := include (printf "rookery.settings.%s" .component) . | fromYaml }}
{{- with $settings.Error }}{{ fail (printf "settings of %s: %s" $.component .) }}{{ end }}
{{- range $key, $value := merge (dict) $v.settings $settings }}
- name: ROOKERY_{{ upper $key }}
  value: {{ include "rookery.text" $value | quote }}
{{- end }}
{{- if has .component (list "management" "dashboard-api") }}
{{- with .root.Values.postgres.conninfoSecret }}
{{- if .name }}
- name: ROOKERY_POSTGRES
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
{{- end }}
{{- end }}
{{- if not .root.Values.postgres.conninfoSecret.name }}
{{- with include "rookery.postgresSecret" .root }}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $.root.Values.postgres.builtIn.enabled | ternary "password" $.root.Values.postgres.existingSecretKey }}}}
{{- end }}
{{- end }}
{{- end }}
{{- with $v.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A number as it was written: YAML's are floats, and a large one would come out as 2.68e+08. */}}
{{- define "rookery.text" -}}
{{- if kindIs "float64" . -}}{{ int64 . }}{{- else -}}{{ toString . }}{{- end -}}
{{- end -}}

{{/*
The files a service reads besides, {name: volume} as YAML: each volume is mounted at /etc/rookery/NAME. Secrets are theirs
alone, never in the environment, but for the password of Postgres, which libpq would take from no file that a group may read.
*/}}
{{- define "rookery.files" -}}
{{- $v := .root.Values -}}
{{- $account := has .component (list "management" "dashboard-api") -}}
{{- if or $account (eq .component "relay") (and (eq .component "stun") $v.register.enabled) }}
keys:
  secret:
    secretName: {{ include "rookery.secretsName" .root }}
    defaultMode: 0440
    items:
      {{- if $account }}
      - {key: secret_key, path: secret_key}
      {{- end }}
      {{- if ne .component "dashboard-api" }}
      - {key: relay_secret, path: relay_secret}
      {{- end }}
{{- end }}
{{- if and (eq .component "relay") (include "rookery.relayTls" .) }}
tls:
  # Of all pods, for a template has one list of volumes; each reads its own.
  projected:
    defaultMode: 0440
    sources:
      {{- range $i, $secret := .secrets }}
      - secret:
          name: {{ $secret }}
          items:
            - {key: tls.crt, path: {{ $i }}/tls.crt}
            - {key: tls.key, path: {{ $i }}/tls.key}
      {{- end }}
{{- end }}
{{- if $account }}
{{- include "rookery.authority" (dict "name" "postgres-ca" "ca" $v.postgres.ca) }}
{{- include "rookery.authority" (dict "name" "oidc-ca" "ca" $v.oidc.ca) }}
{{- with $v.geo.volume }}
geo:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- if or $account (eq .component "signal") }}
{{- with include "rookery.redisSecret" .root }}
redis:
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: {{ $v.redis.builtIn.enabled | ternary "password" $v.redis.existingSecretKey }}, path: password}]
{{- end }}
{{- if and (eq $v.redis.mode "sentinel") $v.redis.sentinel.existingSecret }}
redis-sentinel:
  secret:
    secretName: {{ $v.redis.sentinel.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ $v.redis.sentinel.existingSecretKey }}, path: password}]
{{- end }}
{{- if $v.redis.tls.enabled }}
{{- include "rookery.authority" (dict "name" "redis-ca" "ca" $v.redis.tls.ca) }}
{{- with $v.redis.tls.clientSecret }}
redis-tls:
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rookery.authority" -}}
{{- if .ca.secret }}
{{ .name }}:
  secret:
    secretName: {{ .ca.secret }}
    items: [{key: {{ .ca.key }}, path: {{ .ca.key }}}]
{{- else if .ca.configMap }}
{{ .name }}:
  configMap:
    name: {{ .ca.configMap }}
    items: [{key: {{ .ca.key }}, path: {{ .ca.key }}}]
{{- end }}
{{- end -}}

{{- define "rookery.mounts" -}}
{{- range $name, $_ := include "rookery.files" . | fromYaml }}
- {name: {{ $name }}, mountPath: /etc/rookery/{{ $name }}, readOnly: true}
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rookery.volumes" -}}
{{- range $name, $volume := include "rookery.files" . | fromYaml }}
- name: {{ $name }}
  {{- toYaml $volume | nindent 2 }}
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
