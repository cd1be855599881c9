{{/* What a proxy forwards where; docs/operations.md, "The proxy". Relays behind it: [{host, service, tls}] as JSON. */}}
{{- define "rookery.proxiedRelays" -}}
{{- $out := list -}}
{{- range (include "rookery.regions" . | fromJson).relay -}}
{{- $set := . -}}
{{- if eq .values.expose "Proxy" -}}
{{- range $i, $host := .hosts -}}
{{- $out = append $out (dict "host" $host "service" (printf "%s-%d" $set.fullname $i) "tls" (index $set.secrets $i)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "relays" $out | toJson -}}
{{- end -}}

{{- define "rookery.grpcServices" -}}
management.ManagementService: management
management.ProxyService: management
signalexchange.SignalExchange: signal
{{- end -}}
