{{/* The part of a Service's spec that relays and STUN share; the context is their loadBalancer. */}}
{{- define "rookery.loadBalancer" -}}
type: LoadBalancer
externalTrafficPolicy: {{ .externalTrafficPolicy }}
{{- with .loadBalancerClass }}
loadBalancerClass: {{ . }}
{{- end }}
{{- with .loadBalancerSourceRanges }}
loadBalancerSourceRanges:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
