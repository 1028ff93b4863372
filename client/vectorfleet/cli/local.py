"""`vectorfleet up`, `status`, `down`: the operator with processes on this machine in place of pods.

What they do is in `cluster`, which needs the operator; it is imported only when a command runs.
"""

import contextlib
import importlib
import importlib.util
import os
import pathlib
import signal
import types
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from . import options, output, session


def _default_state_dir() -> pathlib.Path:
    home = os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local" / "state"
    return pathlib.Path(home) / "vectorfleet" / "local"


StateDir = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--state-dir",
        show_default=False,
        help="Where everything is kept. [default: ~/.local/state/vectorfleet/local]",
    ),
]
Patience = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait.")]
ShowKey = Annotated[bool, typer.Option("--show-key", help="Show the API keys.")]


def up(
    files: Annotated[
        list[pathlib.Path] | None,
        typer.Option("--file", "-f", show_default=False, help="Manifest; may be given again."),
    ] = None,
    state_dir: StateDir = None,
    timeout: Patience = 120,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay; Ctrl-C takes everything down again, data kept.")
    ] = False,
    show_key: ShowKey = False,
    control_plane: Annotated[
        bool,
        typer.Option(
            "--control-plane",
            help="Serve Pinecone's calls that make indexes too, until all is taken down.",
        ),
    ] = False,
) -> None:
    """Run the VectorIndexes of manifests on this machine, and wait until they serve.

    With a changed manifest, what runs is changed to match it. Secrets that an index names may come along.
    """
    if not files and not control_plane:
        raise typer.BadParameter("name a manifest, or --control-plane", param_hint="'--file'")
    with _opened(state_dir) as cluster, _interruptible(cluster, take_down=foreground):
        mine = cluster.apply(files or [])
        if control_plane:
            cluster.open_control_plane(timeout)
        cluster.wait_until_ready(mine, timeout)
        cluster.show(show_key=show_key)
        cluster.suggest(mine)
        if foreground:
            session.complain("serving; Ctrl-C takes it down")
            cluster.watch()


def status(
    state_dir: StateDir = None,
    result: options.Format = options.Output.TABLE,
    show_key: ShowKey = False,
) -> None:
    """Show what runs on this machine. Ends with 1 where an index is not ready."""
    with _opened(state_dir) as cluster:
        if result is options.Output.JSON:
            output.write_json(cluster.as_json())
        else:
            cluster.show(show_key=show_key)
        if not cluster.all_ready():
            raise typer.Exit(1)


def down(
    names: Annotated[
        list[str] | None, typer.Argument(help="Indexes, as name or namespace/name; all where none is named.")
    ] = None,
    state_dir: StateDir = None,
    delete_data: Annotated[bool, typer.Option("--delete-data", help="Remove the volumes too.")] = False,
    timeout: Patience = 60,
) -> None:
    """Take indexes down and end their processes. The volumes stay, unless told or declared otherwise."""
    with _opened(state_dir) as cluster:
        cluster.down(names or [], timeout, delete_data=delete_data)


@contextlib.contextmanager
def _opened(state_dir: pathlib.Path | None) -> Iterator[Any]:
    """Open a state directory; what can't be done with it is said in one line."""
    if any(importlib.util.find_spec(name) is None for name in ("vectorfleet_operator", "kopf", "faiss")):
        session.fail("this needs the operator and the data plane: pip install 'vectorfleet[all]'", status=2)
    cluster: types.ModuleType = importlib.import_module(".cluster", __package__)
    with cluster.plainly():
        yield cluster.Cluster((state_dir or _default_state_dir()).expanduser().resolve())


@contextlib.contextmanager
def _interruptible(cluster: Any, *, take_down: bool) -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C; afterwards take everything down, or say that it runs on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second one must not leave things half way
        if not take_down:
            session.complain("interrupted; what was started runs on: `vectorfleet down` ends it")
            raise typer.Exit(130) from None
        cluster.down([], 60, delete_data=False)
