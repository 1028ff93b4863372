"""The version of this package: of the installed distribution, so that it is written in one place only."""

from importlib import metadata


def _installed() -> str:
    try:
        return metadata.version("vectorfleet")
    except metadata.PackageNotFoundError:
        return "0+unknown"  # run from a source tree that was never installed


VERSION = _installed()
