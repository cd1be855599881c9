{{/* What the built-in Postgres and Redis have in common: both images run as user 999. */}}

{{- define "rookery.storePod" -}}
automountServiceAccountToken: false
{{- with .Values.global.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 999
  runAsGroup: 999
  fsGroup: 999
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "rookery.storeRights" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
{{- end -}}

{{/* Nobody but us reaches them. */}}
{{- define "rookery.storePolicy" -}}
{{- if .set.root.Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "rookery.meta" .set | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "rookery.selector" .set | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports:
        - port: {{ .port }}
      from:
        - podSelector:
            matchLabels:
              {{- include "rookery.selector" (dict "root" .set.root) | nindent 14 }}
{{- end }}
{{- end -}}

{{/* Made once and kept, as keys.yaml says. */}}
{{- define "rookery.storePassword" -}}
{{- if include "rookery.cluster" .root }}
{{- $there := lookup "v1" "Secret" .root.Release.Namespace .fullname | default dict }}
apiVersion: v1
kind: Secret
metadata:
  {{- include "rookery.meta" . | nindent 2 }}
  annotations:
    helm.sh/resource-policy: keep
type: Opaque
data:
  password: {{ get ($there.data | default dict) "password" | default (randAlphaNum 32 | b64enc) }}
---
{{- end }}
{{- end -}}
