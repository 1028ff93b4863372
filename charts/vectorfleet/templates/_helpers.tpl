{{- define "vectorfleet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "vectorfleet.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "vectorfleet.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "vectorfleet.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "vectorfleet.selectorLabels" -}}
app.kubernetes.io/name: {{ include "vectorfleet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "vectorfleet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{ include "vectorfleet.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: vectorfleet
{{- end }}

{{- define "vectorfleet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "vectorfleet.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "vectorfleet.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What the operator may do: in its whole cluster, or in each namespace that it watches. */}}
{{- define "vectorfleet.rules" -}}
- apiGroups: [vectorfleet.io]
  resources: [vectorindexes]
  verbs: [get, list, watch, patch]
- apiGroups: [vectorfleet.io]
  resources: [vectorshards]
  verbs: [get, list, watch, create, patch]
- apiGroups: [vectorfleet.io]
  resources: [vectorindexes/status, vectorshards/status]
  verbs: [patch]
# Owner references that hold up an owner's deletion need it where the cluster enforces that.
- apiGroups: [vectorfleet.io]
  resources: [vectorindexes/finalizers]
  verbs: [update]
# Deleted with its pods kept, and made again at once, when volumes grow.
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# Certificates of cert-manager, for indexes that name an issuer.
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, create, patch]
# Shard pods are restarted one at a time, the primary's after another replica has taken its place.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
# Volumes are made larger; they are never deleted.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* The control plane's API. */}}
{{- define "vectorfleet.controlName" -}}
{{- printf "%s-control-plane" (include "vectorfleet.fullname" . | trunc 49 | trimSuffix "-") }}
{{- end }}

{{- define "vectorfleet.controlSelectorLabels" -}}
{{- include "vectorfleet.selectorLabels" . | replace "component: operator" "component: control-plane" }}
{{- end }}

{{- define "vectorfleet.controlLabels" -}}
{{- include "vectorfleet.labels" . | replace "component: operator" "component: control-plane" }}
{{- end }}

{{- define "vectorfleet.controlNamespace" -}}
{{- default .Release.Namespace .Values.controlPlane.namespace }}
{{- end }}

{{- define "vectorfleet.subject" -}}
- kind: ServiceAccount
  name: {{ include "vectorfleet.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "vectorfleet.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "vectorfleet.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
