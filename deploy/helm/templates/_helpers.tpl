{{- define "mess-exchange.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Not longer than 55, so that what is named after it still is a name. */}}
{{- define "mess-exchange.fullname" -}}
{{- $name := include "mess-exchange.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 55 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 55 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 55 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "mess-exchange.selector" -}}
app.kubernetes.io/name: {{ include "mess-exchange.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{/* Of everything, but for the component: the pod of the test must not look like a server. */}}
{{- define "mess-exchange.labels" -}}
app.kubernetes.io/name: {{ include "mess-exchange.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "mess-exchange.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "mess-exchange.claim" -}}
{{- .Values.persistence.existingClaim | default (include "mess-exchange.fullname" .) -}}
{{- end -}}

{{- define "mess-exchange.hasKeys" -}}
{{- if or .Values.s3.accessKey .Values.registration.token -}}true{{- end -}}
{{- end -}}

{{- define "mess-exchange.secret" -}}
{{- if .Values.existingSecret -}}
{{- .Values.existingSecret -}}
{{- else if include "mess-exchange.hasKeys" . -}}
{{- include "mess-exchange.fullname" . -}}
{{- end -}}
{{- end -}}

{{/* "true" where there may be more than one server; an autoscaler's number is not known here. */}}
{{- define "mess-exchange.many" -}}
{{- if eq .Values.storage.type "s3" -}}
{{- if or (kindIs "invalid" .Values.replicaCount) (gt (int .Values.replicaCount) 1) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mess-exchange.goMemLimit" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources | toString -}}
{{- if .Values.goMemLimit -}}
{{- .Values.goMemLimit -}}
{{- else if regexMatch "^[0-9]+Mi$" $limit -}}
{{- printf "%dMiB" (div (mul (trimSuffix "Mi" $limit | int64) 9) 10) -}}
{{- else if regexMatch "^[0-9]+Gi$" $limit -}}
{{- printf "%dMiB" (div (mul (trimSuffix "Gi" $limit | int64) 9216) 10) -}}
{{- end -}}
{{- end -}}

{{- define "mess-exchange.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Settings that contradict each other, each refused with a sentence that says what to change. */}}
{{- define "mess-exchange.check" -}}
{{- $v := .Values -}}
{{- if eq $v.storage.type "filesystem" -}}
{{- if kindIs "invalid" $v.replicaCount -}}
{{- fail "\n\nreplicaCount: null leaves the number of servers to an autoscaler, but a directory has one server. Set replicaCount=1, or storage.type=s3." -}}
{{- end -}}
{{- if gt (int $v.replicaCount) 1 -}}
{{- fail (printf "\n\nreplicaCount is %d, but a directory has one server: a second one would not start. Set replicaCount=1, or storage.type=s3 with s3.bucket." (int $v.replicaCount)) -}}
{{- end -}}
{{- if or $v.s3.bucket $v.s3.endpoint -}}
{{- fail "\n\ns3.bucket or s3.endpoint is set, but storage.type is filesystem. Set storage.type=s3 too, or unset them." -}}
{{- end -}}
{{- else if not $v.s3.bucket -}}
{{- fail "\n\nstorage.type=s3 needs s3.bucket, the name of a bucket that exists." -}}
{{- end -}}
{{- if ne (empty $v.s3.accessKey) (empty $v.s3.secretKey) -}}
{{- fail "\n\ns3.accessKey and s3.secretKey belong together: set both or neither." -}}
{{- end -}}
{{- if and $v.existingSecret (include "mess-exchange.hasKeys" .) -}}
{{- fail "\n\nexistingSecret is set, and so are s3.accessKey or registration.token, which would then not be used. Set one or the other." -}}
{{- end -}}
{{- if and (eq $v.registration.mode "token") (not $v.registration.token) (not $v.existingSecret) -}}
{{- fail "\n\nregistration.mode=token needs registration.token, or existingSecret with the key REGISTRATION_TOKEN." -}}
{{- end -}}
{{- if lt (int $v.terminationGracePeriodSeconds) (int (add $v.preStopSeconds 12)) -}}
{{- fail (printf "\n\nterminationGracePeriodSeconds is %d: set at least %d, which is preStopSeconds and the 12 seconds in which a server answers what is in flight." (int $v.terminationGracePeriodSeconds) (int (add $v.preStopSeconds 12))) -}}
{{- end -}}
{{- if and $v.ingress.tlsSecret (not $v.ingress.host) -}}
{{- fail "\n\ningress.tlsSecret needs ingress.host, the name that the certificate is for." -}}
{{- end -}}
{{- if and $v.metrics.serviceMonitor.enabled (not $v.metrics.enabled) -}}
{{- fail "\n\nmetrics.serviceMonitor.enabled needs metrics.enabled." -}}
{{- end -}}
{{- end -}}
