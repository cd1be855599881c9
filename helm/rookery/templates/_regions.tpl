{{/*
The sets of relays and of STUN servers, one a region: {"relay": [...], "stun": [...]} as JSON, each with
  region, component, fullname, values (those of the component with the region's over them), port, urls,
  at; and for relays: hosts, secrets (of certificates), one a pod; for STUN: host.
*/}}
{{- define "rookery.regions" -}}
{{- $root := . -}}
{{- $full := include "rookery.fullname" . -}}
{{- $relays := list -}}
{{- $stuns := list -}}
{{- range .Values.regions -}}
{{- $region := .name | default "" -}}
{{- $dash := ternary "" (printf "-%s" $region) (eq $region "") -}}

{{- $v := mustMergeOverwrite (deepCopy $root.Values.relay) (deepCopy (.relay | default dict)) -}}
{{- if gt (int $v.replicas) 0 -}}
{{- $port := $v.port | int | default (ternary 8083 443 (eq $v.expose "HostPort")) -}}
{{- $template := $v.hostTemplate | default (printf "relay%s-{index}.%s" $dash $root.Values.global.domain) -}}
{{- $secret := $v.tls.secretTemplate | default (printf "%s-relay%s-{index}-tls" $full $dash) -}}
{{- $hosts := list -}}
{{- $secrets := list -}}
{{- $urls := list -}}
{{- range $i := until (int $v.replicas) -}}
{{- $host := $template | replace "{region}" $region | replace "{index}" (toString $i) -}}
{{- $hosts = append $hosts $host -}}
{{- $secrets = append $secrets ($secret | replace "{region}" $region | replace "{index}" (toString $i)) -}}
{{- $urls = append $urls (printf "rels://%s:%d" $host $port) -}}
{{- end -}}
{{- $relays = append $relays (dict "region" $region "at" (.at | default "") "component" "relay" "fullname" (printf "%s-relay%s" $full $dash)
    "values" $v "port" $port "hosts" $hosts "secrets" $secrets "urls" $urls
    "url" (printf "rels://%s:%d" ($template | replace "{region}" $region | replace "{index}" "$(POD_INDEX)") $port)) -}}
{{- end -}}

{{- $v := mustMergeOverwrite (deepCopy $root.Values.stun) (deepCopy (.stun | default dict)) -}}
{{- if gt (int $v.replicas) 0 -}}
{{- $host := $v.hostTemplate | default (printf "stun%s.%s" $dash $root.Values.global.domain) | replace "{region}" $region -}}
{{- $stuns = append $stuns (dict "region" $region "at" (.at | default "") "component" "stun" "fullname" (printf "%s-stun%s" $full $dash)
    "values" $v "port" (int $v.port) "host" $host "urls" (list (printf "stun:%s:%d" $host (int $v.port)))) -}}
{{- end -}}
{{- end -}}
{{- dict "relay" $relays "stun" $stuns | toJson -}}
{{- end -}}

{{/* All URLs of a kind for management's list: (dict "root" $ "kind" "relay") */}}
{{- define "rookery.urls" -}}
{{- $all := list -}}
{{- range get (include "rookery.regions" .root | fromJson) .kind -}}
{{- $all = concat $all .urls -}}
{{- end -}}
{{- concat $all (get .root.Values .kind).extraUrls | join "," -}}
{{- end -}}
