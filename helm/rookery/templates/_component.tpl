{{/*
A service of the control plane in any number of equal replicas: ServiceAccount, Deployment, Services, autoscaler, disruption
budget. The context is that of _pod.tpl.
*/}}
{{- define "rookery.replicated" -}}
{{ include "rookery.serviceAccount" . }}
---
{{ include "rookery.deployment" . }}
---
{{ include "rookery.service" (dict "set" . "suffix" "" "protocol" (ternary "http" "kubernetes.io/h2c" (eq .component "dashboard-api"))) }}
{{- if ne .component "dashboard-api" }}
---
# The same port for agents in browsers, whose WebSockets are HTTP/1.1.
{{ include "rookery.service" (dict "set" . "suffix" "-ws" "protocol" "http") }}
{{- end }}
{{- include "rookery.autoscaler" . }}
{{- include "rookery.budget" . }}
{{- include "rookery.networkPolicy" . }}
{{- end -}}

{{- define "rookery.meta" -}}
name: {{ .fullname }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "rookery.labels" . | nindent 2 }}
{{- end -}}

{{- define "rookery.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "rookery.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "rookery.labels" (dict "root" .root "component" .component) | nindent 4 }}
  {{- with .values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{- define "rookery.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "rookery.meta" . | nindent 2 }}
spec:
  {{- if not .values.autoscaling.enabled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- include "rookery.selector" . | nindent 6 }}
  strategy:
    rollingUpdate:
      {{- if eq (.values.expose | default "") "HostPort" }}
      # A node has one such port.
      maxSurge: 0
      maxUnavailable: 1
      {{- else }}
      maxSurge: 1
      maxUnavailable: 0
      {{- end }}
  template:
    {{- include "rookery.podTemplate" . | nindent 4 }}
{{- end -}}

{{/* (dict "set" . "suffix" "-ws" "protocol" "http"): within the cluster; proxies forward to it. */}}
{{- define "rookery.service" -}}
{{- $set := .set -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ $set.fullname }}{{ .suffix }}
  namespace: {{ $set.root.Release.Namespace }}
  labels:
    {{- include "rookery.labels" $set | nindent 4 }}
    {{- if not .suffix }}
    rookery/metrics: "true"
    {{- end }}
  {{- if not .suffix }}
  {{- with $set.values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
spec:
  selector:
    {{- include "rookery.selector" $set | nindent 4 }}
  ports:
    - name: {{ ternary "http" (include "rookery.portName" $set) (ne .suffix "") }}
      port: {{ $set.listenPort }}
      targetPort: {{ include "rookery.portName" $set }}
      appProtocol: {{ .protocol }}
    {{- if not .suffix }}
    - name: admin
      port: 9090
      targetPort: admin
    {{- end }}
{{- end -}}

{{- define "rookery.autoscaler" -}}
{{- with .values.autoscaling }}
{{- if .enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "rookery.meta" $ | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ $.fullname }}
  minReplicas: {{ .minReplicas }}
  maxReplicas: {{ .maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .targetCPUUtilizationPercentage }}
  behavior:
    # Every replica that goes moves its agents: one at a time, and not for a moment's calm.
    scaleDown:
      stabilizationWindowSeconds: 600
      policies:
        - {type: Pods, value: 1, periodSeconds: 120}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rookery.budget" -}}
{{- if .values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "rookery.meta" . | nindent 2 }}
spec:
  maxUnavailable: {{ .values.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready serves nobody.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "rookery.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{- define "rookery.networkPolicy" -}}
{{- $np := .root.Values.networkPolicy }}
{{- if $np.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "rookery.meta" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "rookery.selector" . | nindent 6 }}
  policyTypes:
    - Ingress
    {{- if $np.egress.enabled }}
    - Egress
    {{- end }}
  ingress:
    {{- /* Agents reach STUN, and relays of their own address, themselves. */}}
    {{- $direct := or (eq .component "stun") (and (eq .component "relay") (ne .values.expose "Proxy")) }}
    - ports:
        - port: {{ .listenPort }}
          protocol: {{ ternary "UDP" "TCP" (eq .component "stun") }}
      {{- if not $direct }}
      {{- with $np.ingressFrom }}
      from:
        {{- toYaml . | nindent 8 }}
        - podSelector:
            matchLabels:
              {{- include "rookery.selector" (dict "root" $.root) | nindent 14 }}
      {{- end }}
      {{- end }}
    - ports:
        - port: 9090
      from:
        {{- with $np.metricsFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        - podSelector:
            matchLabels:
              {{- include "rookery.selector" (dict "root" .root) | nindent 14 }}
  {{- if $np.egress.enabled }}
  egress:
    {{- $edge := has .component (list "relay" "stun") }}
    {{- if or (not $edge) .root.Values.register.enabled }}
    - ports:
        - {port: 53, protocol: UDP}
        - {port: 53, protocol: TCP}
    {{- end }}
    {{- if not $edge }}
    {{- include "rookery.egress" (dict "root" .root "component" "redis" "ports" (include "rookery.redisPorts" .root | fromYamlArray) "here" .root.Values.redis.builtIn.enabled) }}
    {{- end }}
    {{- if has .component (list "management" "dashboard-api") }}
    {{- include "rookery.egress" (dict "root" .root "component" "postgres" "ports" (list (ternary 5432 .root.Values.postgres.port .root.Values.postgres.builtIn.enabled)) "here" .root.Values.postgres.builtIn.enabled) }}
    {{- with $np.egress.to }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- else if and $edge .root.Values.register.enabled }}
    {{- $url := include "rookery.managementUrl" .root | urlParse }}
    {{- $port := ternary (splitList ":" $url.host | last) (ternary "443" "80" (eq $url.scheme "https")) (regexMatch ":[0-9]+$" $url.host) }}
    {{- include "rookery.egress" (dict "root" .root "component" "management" "ports" (list $port) "here" (and .root.Values.controlPlane (not .root.Values.register.managementUrl))) }}
    {{- else if $edge }}
    []
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* To a store: in this cluster, or, where it is not ours, to its ports anywhere. */}}
{{- define "rookery.egress" }}
    - ports:
        {{- range .ports }}
        - port: {{ int . }}
        {{- end }}
      {{- if .here }}
      to:
        - podSelector:
            matchLabels:
              {{- include "rookery.selector" . | nindent 14 }}
      {{- end }}
{{- end -}}

{{- define "rookery.redisPorts" -}}
- {{ ternary 6379 (int .Values.redis.port) .Values.redis.builtIn.enabled }}
{{- range concat (.Values.redis.sentinel.hosts | default list) (.Values.redis.cluster.nodes | default list) }}
- {{ splitList ":" . | last }}
{{- end }}
{{- end -}}
