"""The command `vectorfleet-operator`: run the operator, or write what is generated from its models."""

import argparse
import asyncio
import pathlib
import sys

import pydantic
import pydantic_settings

from . import errors, generated, settings


def main() -> None:
    """Run the command that the arguments name; exit 2 where it can't start."""
    arguments = _parse()
    if arguments.command == "run":
        sys.exit(_run())
    if arguments.command == "control-plane":
        sys.exit(_serve_control_plane())
    sys.exit(_generate(arguments))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="vectorfleet-operator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="watch VectorIndexes and reconcile them")
    commands.add_parser("control-plane", help="serve Pinecone's calls that make indexes")
    crds = commands.add_parser("crds", help="print, write or check the CustomResourceDefinitions")
    where = crds.add_mutually_exclusive_group()
    where.add_argument("--write", type=pathlib.Path, metavar="DIR", help="write the CRDs into this folder")
    where.add_argument("--check", type=pathlib.Path, metavar="DIR", help="exit 1 where its files differ")
    everything = commands.add_parser("generate", help="write CRDs, the chart's copy and the field reference")
    everything.add_argument("root", type=pathlib.Path, help="root of the repository")
    return parser.parse_args()


def _run() -> int:
    try:
        given = settings.Settings()
    except pydantic.ValidationError as invalid:
        sys.stderr.write(f"vectorfleet-operator can't start: {invalid}\n")
        return 2
    from . import serve  # noqa: PLC0415  `crds` needs neither kopf nor the Kubernetes client

    try:
        asyncio.run(serve.serve(given))
    except errors.Transient as error:
        sys.stderr.write(f"vectorfleet-operator can't start: {error}\n")
        return 2
    return 0


def _serve_control_plane() -> int:
    from .control import process  # noqa: PLC0415  `crds` needs no Kubernetes client
    from .control import settings as control_settings  # noqa: PLC0415

    try:
        asyncio.run(process.serve(control_settings.Settings()))
    except (pydantic.ValidationError, pydantic_settings.SettingsError, errors.OperatorError) as error:
        sys.stderr.write(f"vectorfleet-operator control-plane can't start: {error}\n")
        return 2
    return 0


def _generate(arguments: argparse.Namespace) -> int:
    if arguments.command == "generate":
        generated.write(generated.build_all(), arguments.root)
        return 0
    if arguments.write:
        generated.write(generated.build_crds(), arguments.write)
        return 0
    if arguments.check:
        stale = generated.stale(generated.build_crds(), arguments.check)
        sys.stderr.writelines(f"{path} differs from the models: write it anew\n" for path in stale)
        return 1 if stale else 0
    sys.stdout.write("---\n".join(generated.build_crds().values()))
    return 0


if __name__ == "__main__":
    main()
