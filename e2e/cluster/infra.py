"""The images that the cluster itself runs, pushed to its registry once for each build of their programs."""

from __future__ import annotations

from . import buildah, nodeconfig, progress, settings, toolchain

IMAGES = {"pause": nodeconfig.PAUSE_IMAGE, "coredns": "e2e/coredns:1"}


def push(where: settings.Settings, programs: toolchain.Toolchain) -> None:
    """Build and push what the registry does not hold in this form."""
    store = buildah.Store(where.cache)
    for name, reference in IMAGES.items():
        program = programs[name]
        record = where.cache / "registry" / f"{name}.pushed"
        if record.exists() and record.read_text() == program.parent.name:
            continue
        with progress.step(f"image {reference}"):
            buildah.build_program(store, f"localhost/{reference}", program)
            store.push(f"localhost/{reference}", reference)
        record.write_text(program.parent.name)
