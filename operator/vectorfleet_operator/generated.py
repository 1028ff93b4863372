"""The files that are generated from the models: CRDs, the chart's copy of them, the field reference."""

import pathlib
from collections.abc import Mapping

from .api import crd, reference

Files = Mapping[str, str]
"""Text of each file by its path, relative to where it is written."""

_CHART = "charts/vectorfleet/templates/crds"
_CHART_HEAD = "{{- if .Values.crds.enabled }}\n"
_CHART_FOOT = "{{- end }}\n"
_KEEP = "    {{- if .Values.crds.keep }}\n    helm.sh/resource-policy: keep\n    {{- end }}\n"


def build_crds() -> Files:
    """Return the CustomResourceDefinitions, a file each."""
    return {crd.file_name(resource): crd.to_yaml(resource) for resource in crd.RESOURCES}


def build_all() -> Files:
    """Return every generated file by its path in the repository."""
    files = {f"crds/{name}": text for name, text in build_crds().items()}
    files |= {
        f"charts/vectorfleet/templates/crds/{name}": _to_template(text) for name, text in build_crds().items()
    }
    return files | {"docs/vectorindex.md": reference.build_page()}


def write(files: Files, root: pathlib.Path) -> None:
    """Write the files below `root`, making folders as needed."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def stale(files: Files, root: pathlib.Path) -> tuple[str, ...]:
    """Return the paths whose text on disk is not what the models say."""
    return tuple(name for name, text in files.items() if _read(root / name) != text)


def _read(path: pathlib.Path) -> str | None:
    return path.read_text() if path.exists() else None


def _to_template(text: str) -> str:
    """Return a definition as a template that a switch turns off, and that outlives its release."""
    marker = "metadata:\n"
    labels = '  labels:\n    {{- include "vectorfleet.labels" . | nindent 4 }}\n  annotations:\n' + _KEEP
    head, _, rest = text.replace("{{", "{{ `{{` }}").partition(marker)
    return _CHART_HEAD + head + marker + labels + rest + _CHART_FOOT
