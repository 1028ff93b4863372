"""The `build` command: both images, and into the cluster's registry where there is a cluster."""

from __future__ import annotations

import argparse
import sys

from cluster import buildah, errors, machine, packages, publish, settings

from . import products


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="build", description="Build Vectorfleet's images for the test cluster."
    )
    names = sorted(products.PRODUCTS)
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", help=f"{' or '.join(names)}; both if none is named"
    )
    chosen = parser.parse_args().images or names
    unknown = [name for name in chosen if name not in products.PRODUCTS]
    if unknown:
        parser.error(f"there is no image {unknown[0]}; there are {' and '.join(names)}")
    try:
        build(chosen)
    except errors.ClusterError as problem:
        sys.stderr.write(f"build: {problem}\n")
        return 1
    return 0


def build(names: list[str]) -> list[str]:
    """Build the named images, push them if a cluster is up, and return their names in the store."""
    packages.ensure()
    there = machine.claimed()
    store = buildah.Store((there or settings.from_environment()).cache)
    tags = [products.build(store, products.PRODUCTS[name]) for name in names]
    if there is not None:
        for tag in tags:
            publish.push(there, tag)
    return tags
