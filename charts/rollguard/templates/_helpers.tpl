{{- define "rollguard.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "rollguard.clusterObjects" -}}
{{- range .Values.clusterObjects }}
---
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* A hash in the name, so that a change starts the operator anew, as kustomize does it. */}}
{{- define "rollguard.clusterObjectsName" -}}
rollguard-cluster-objects-{{ include "rollguard.clusterObjects" . | sha256sum | trunc 10 }}
{{- end -}}
