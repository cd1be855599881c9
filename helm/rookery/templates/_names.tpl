{{/* Names, labels, addresses: what several manifests must agree on. */}}

{{- define "rookery.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of every object: (dict "root" $ "component" "relay" "region" "eu"), the last two optional. */}}
{{- define "rookery.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{ include "rookery.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of pods: nothing that changes with the chart's version alone, or every upgrade would start all of them anew. */}}
{{- define "rookery.podLabels" -}}
{{ include "rookery.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rookery.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .region }}
rookery/region: {{ . }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "image" .Values.relay.image) */}}
{{- define "rookery.image" -}}
{{- $global := .root.Values.global.image -}}
{{- with $global.registry -}}{{ . }}/{{- end -}}
{{- .image.repository -}}
{{- if .image.digest -}}
@{{ .image.digest }}
{{- else -}}
:{{ coalesce .image.tag $global.tag .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Images that are not ours keep their own tag. */}}
{{- define "rookery.foreignImage" -}}
{{- with .root.Values.global.image.registry -}}{{ . }}/{{- end -}}
{{- .image.repository }}:{{ .image.tag -}}
{{- end -}}

{{- define "rookery.httpHost" -}}
{{- .Values.hosts.http | default .Values.global.domain -}}
{{- end -}}

{{- define "rookery.grpcHost" -}}
{{- .Values.hosts.grpc | default (include "rookery.httpHost" .) -}}
{{- end -}}

{{- define "rookery.managementUrl" -}}
{{- if .Values.register.managementUrl -}}
{{ .Values.register.managementUrl }}
{{- else if .Values.controlPlane -}}
http://{{ include "rookery.fullname" . }}-management:8081
{{- else -}}
https://{{ include "rookery.grpcHost" . }}
{{- end -}}
{{- end -}}

{{- define "rookery.secretsName" -}}
{{- .Values.secrets.existingSecret | default (printf "%s-keys" (include "rookery.fullname" .)) -}}
{{- end -}}

{{- define "rookery.bootstrapName" -}}
{{- .Values.bootstrap.existingSecret | default (printf "%s-bootstrap" (include "rookery.fullname" .)) -}}
{{- end -}}

{{- define "rookery.postgresSecret" -}}
{{- if .Values.postgres.builtIn.enabled -}}
{{ include "rookery.fullname" . }}-postgres
{{- else -}}
{{ .Values.postgres.existingSecret }}
{{- end -}}
{{- end -}}

{{/* Whether there is a cluster to ask: our namespace, or, before it is made, any. */}}
{{- define "rookery.cluster" -}}
{{- if or (lookup "v1" "Namespace" "" .Release.Namespace) (lookup "v1" "Namespace" "" "default") -}}yes{{- end -}}
{{- end -}}

{{- define "rookery.redisSecret" -}}
{{- if .Values.redis.builtIn.enabled -}}
{{ include "rookery.fullname" . }}-redis
{{- else -}}
{{ .Values.redis.existingSecret }}
{{- end -}}
{{- end -}}
