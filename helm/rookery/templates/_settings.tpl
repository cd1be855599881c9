{{/*
The settings of each program, as a YAML map of its keys; `rookery-NAME --help` tells what each means. The pods get them as
ROOKERY_ variables.
*/}}

{{- define "rookery.settings.common" -}}
admin_listen: {{ printf "%s:9090" .root.Values.global.listenAddress | quote }}
drain_ms: {{ mul (int .root.Values.drain.drainSeconds) 1000 }}
listen: {{ printf "%s:%d" .root.Values.global.listenAddress (int .listenPort) | quote }}
{{- if and .root.Values.trustedProxies (ne .component "stun") }}
trusted_proxies: {{ join "," .root.Values.trustedProxies | quote }}
{{- end }}
{{- end -}}

{{/* What management and dashboard-api share. */}}
{{- define "rookery.settings.account" -}}
{{- $v := .root.Values -}}
secret_key_file: /etc/rookery/keys/secret_key
{{- if not $v.postgres.conninfoSecret.name }}
postgres: {{ include "rookery.conninfo" .root | quote }}
{{- end }}
{{ include "rookery.settings.redis" . }}
public_url: https://{{ include "rookery.httpHost" .root }}
{{- with $v.global.dnsDomain }}
dns_domain: {{ . }}
{{- end }}
{{- if $v.geo.volume }}
geo_database: /etc/rookery/geo/{{ $v.geo.file }}
{{- end }}
{{- if eq $v.oidc.mode "embedded" }}
oidc_embedded: true
{{- end }}
{{- $named := dict "issuer" $v.oidc.issuer "discovery_url" $v.oidc.discoveryUrl "audience" $v.oidc.audience
    "pkce_client_id" $v.oidc.pkceClientId "device_client_id" $v.oidc.deviceClientId
    "allow_private_issuers" (ternary "true" "" $v.oidc.allowPrivateIssuers)
    "ca_file" (ternary (printf "/etc/rookery/oidc-ca/%s" $v.oidc.ca.key) "" (or (ne $v.oidc.ca.secret "") (ne $v.oidc.ca.configMap ""))) }}
{{- range $key, $value := merge (dict) $v.oidc.settings $named }}
{{- if ne (toString $value) "" }}
oidc_{{ $key }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* libpq's; the schema keeps blanks and quotes out of every part. */}}
{{- define "rookery.conninfo" -}}
{{- $pg := .Values.postgres -}}
{{- $host := join "," $pg.hosts -}}
{{- $mode := $pg.sslmode -}}
{{- $port := int $pg.port -}}
{{- if $pg.builtIn.enabled -}}
{{- $host = printf "%s-postgres" (include "rookery.fullname" .) -}}
{{- $mode = "disable" -}}
{{- $port = 5432 -}}
{{- end -}}
host={{ $host }} port={{ $port }} dbname={{ $pg.database }} user={{ $pg.user }} sslmode={{ $mode }}
{{- if hasPrefix "verify" $mode }} sslrootcert=
{{- if or $pg.ca.secret $pg.ca.configMap -}}
/etc/rookery/postgres-ca/{{ $pg.ca.key }}
{{- else -}}
/etc/ssl/certs/ca-certificates.crt
{{- end }}
{{- end }}
{{- if gt (len $pg.hosts) 1 }} target_session_attrs=read-write{{ end }}
{{- end -}}

{{- define "rookery.settings.redis" -}}
{{- $redis := .root.Values.redis -}}
{{- if $redis.builtIn.enabled }}
redis: {{ include "rookery.fullname" .root }}-redis:6379
{{- else if eq $redis.mode "sentinel" }}
redis_sentinels: {{ join "," $redis.sentinel.hosts | quote }}
redis_master: {{ $redis.sentinel.master }}
{{- with $redis.sentinel.user }}
redis_sentinel_user: {{ . | quote }}
{{- end }}
{{- if $redis.sentinel.existingSecret }}
redis_sentinel_password_file: /etc/rookery/redis-sentinel/password
{{- end }}
{{- else if eq $redis.mode "cluster" }}
redis_cluster: {{ join "," $redis.cluster.nodes | quote }}
{{- else }}
redis: {{ printf "%s:%d" $redis.host (int $redis.port) | quote }}
{{- end }}
{{- with $redis.user }}
redis_user: {{ . | quote }}
{{- end }}
{{- if include "rookery.redisSecret" .root }}
redis_password_file: /etc/rookery/redis/password
{{- end }}
{{- if $redis.tls.enabled }}
redis_tls: true
{{- if or $redis.tls.ca.secret $redis.tls.ca.configMap }}
redis_ca_file: /etc/rookery/redis-ca/{{ $redis.tls.ca.key }}
{{- end }}
{{- if $redis.tls.clientSecret }}
redis_cert_file: /etc/rookery/redis-tls/tls.crt
redis_key_file: /etc/rookery/redis-tls/tls.key
{{- end }}
{{- end }}
{{- end -}}

{{- define "rookery.settings.management" -}}
{{ include "rookery.settings.common" . }}
{{ include "rookery.settings.account" . }}
signal_url: https://{{ include "rookery.grpcHost" .root }}:443
{{- $relays := include "rookery.urls" (dict "root" .root "kind" "relay") }}
{{- with $relays }}
relay_urls: {{ . | quote }}
{{- end }}
{{- if or $relays .root.Values.register.enabled }}
relay_secret_file: /etc/rookery/keys/relay_secret
{{- end }}
{{- with include "rookery.urls" (dict "root" .root "kind" "stun") }}
stun_urls: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "rookery.settings.signal" -}}
{{ include "rookery.settings.common" . }}
{{ include "rookery.settings.redis" . }}
{{- end -}}

{{- define "rookery.settings.dashboard-api" -}}
{{ include "rookery.settings.common" . }}
{{ include "rookery.settings.account" . }}
{{- end -}}

{{- define "rookery.settings.relay" -}}
{{ include "rookery.settings.common" . }}
relay_secret_file: /etc/rookery/keys/relay_secret
exposed_url: {{ .url | quote }}
{{- include "rookery.settings.edge" . }}
{{- if include "rookery.relayTls" . }}
tls_cert_file: /etc/rookery/tls/$(POD_INDEX)/tls.crt
tls_key_file: /etc/rookery/tls/$(POD_INDEX)/tls.key
{{- end }}
{{- end -}}

{{- define "rookery.relayTls" -}}
{{- if has .values.expose (list "LoadBalancer" "HostPort") -}}yes{{- end -}}
{{- end -}}

{{- define "rookery.settings.stun" -}}
{{ include "rookery.settings.common" . }}
{{- if .root.Values.register.enabled }}
relay_secret_file: /etc/rookery/keys/relay_secret
exposed_url: {{ first .urls | quote }}
{{- end }}
{{- include "rookery.settings.edge" . }}
{{- end -}}

{{/* Registering with management. */}}
{{- define "rookery.settings.edge" -}}
{{- if .root.Values.register.enabled }}
management_url: {{ include "rookery.managementUrl" .root | quote }}
{{- with .region }}
region: {{ . | quote }}
{{- end }}
{{- with .at }}
region_at: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}
