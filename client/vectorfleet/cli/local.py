"""`vectorfleet up`, `status`, `down`: the operator with processes on this machine in place of pods."""

import contextlib
import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import rich.console
import rich.status
import typer

from . import options, output, session

if TYPE_CHECKING:
    from vectorfleet_operator.adapters.local import folder, view

_POLL_SECONDS = 0.1
_START_SECONDS = 15.0
_STOP_SECONDS = 60.0


def _default_state_dir() -> pathlib.Path:
    home = os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local" / "state"
    return pathlib.Path(home) / "vectorfleet" / "local"


StateDir = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--state-dir", show_default=False, help="Where everything is kept. [~/.local/state/vectorfleet/local]"
    ),
]
Patience = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait.")]
ShowKey = Annotated[bool, typer.Option("--show-key", help="Show the API keys.")]


def up(
    files: Annotated[list[pathlib.Path], typer.Option("--file", "-f", help="Manifest; may be given again.")],
    state_dir: StateDir = None,
    timeout: Patience = 120,
    foreground: Annotated[
        bool,
        typer.Option("--foreground", help="Stay; Ctrl-C takes everything down again and keeps the data."),
    ] = False,
    show_key: ShowKey = False,
) -> None:
    """Run the VectorIndexes of manifests on this machine, and wait until they serve.

    With a changed manifest, what runs is changed to match it.
    """
    place = _place(state_dir)
    wanted = _read(files)
    with _interruptible(place, take_down=foreground):
        _ensure_supervisor(place)
        _request(place, [{"apply": one} for one in wanted])
        mine = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in wanted}
        _wait_until_ready(place, mine, timeout)
        _show(place, show_key=show_key)
        _suggest(place, mine)
        if foreground:
            session.complain("serving; Ctrl-C takes it down")
            signal.pause()


def status(
    state_dir: StateDir = None,
    result: options.Format = options.Output.TABLE,
    show_key: ShowKey = False,
) -> None:
    """Show what runs on this machine. Ends with 1 where an index is not ready."""
    place = _place(state_dir)
    from vectorfleet_operator import local  # noqa: PLC0415  an extra
    from vectorfleet_operator.adapters.local import view  # noqa: PLC0415  an extra

    found = view.indexes(place)
    if result is options.Output.JSON:
        output.write_json(
            {"supervisor": local.supervisor_of(place), "indexes": [_as_json(one) for one in found]}
        )
    else:
        _show(place, show_key=show_key)
        if found and local.supervisor_of(place) is None:
            session.complain("no operator runs: the indexes serve on, but nothing mends them; `up` starts it")
    if not all(one.ready for one in found):
        raise typer.Exit(1)


def down(
    names: Annotated[
        list[str] | None, typer.Argument(help="Indexes to take down; all where none is named.")
    ] = None,
    state_dir: StateDir = None,
    delete_data: Annotated[bool, typer.Option("--delete-data", help="Remove the volumes too.")] = False,
    timeout: Patience = _STOP_SECONDS,
) -> None:
    """Take indexes down and end their processes. The volumes stay, unless told otherwise."""
    place = _place(state_dir)
    from vectorfleet_operator.adapters.local import view  # noqa: PLC0415  an extra

    known = {one.name: one for one in view.indexes(place)}
    missing = [name for name in names or () if name not in known]
    if missing:
        session.fail(f"no such index: {', '.join(missing)}; there is {', '.join(known) or 'none'}")
    chosen = [known[name] for name in names or known]
    if place.root.exists():
        _take_down(place, chosen, timeout)
        if not names:
            _stop_supervisor(place)
        _settle_volumes(place, [one.name for one in chosen] if names else None, delete=delete_data)


def _place(state_dir: pathlib.Path | None) -> "folder.Folder":
    if importlib.util.find_spec("kopf") is None or importlib.util.find_spec("vectorfleet_operator") is None:
        session.fail("this needs the operator: pip install 'vectorfleet[all]'", status=2)
    from vectorfleet_operator.adapters.local import folder  # noqa: PLC0415  an extra

    return folder.Folder((state_dir or _default_state_dir()).expanduser().resolve())


def _read(files: list[pathlib.Path]) -> list[dict[str, Any]]:
    from vectorfleet_operator import errors  # noqa: PLC0415  an extra
    from vectorfleet_operator.adapters.local import manifests  # noqa: PLC0415  an extra

    try:
        return [one for path in files for one in manifests.read(path)]
    except errors.InvalidSpec as error:
        session.fail(str(error), status=2)


def _request(place: "folder.Folder", wishes: list[dict[str, Any]]) -> None:
    from vectorfleet_operator import local  # noqa: PLC0415  an extra

    for wish in wishes:
        local.request(place, wish)
    _wait(
        lambda: not any(place.inbox.glob("*.json")), _START_SECONDS, "the supervisor does not answer", place
    )


def _ensure_supervisor(place: "folder.Folder") -> None:
    from vectorfleet_operator import local  # noqa: PLC0415  an extra

    if local.supervisor_of(place) is not None:
        return
    place.create()
    with place.supervisor_log.open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "vectorfleet_operator.local", "--state-dir", str(place.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    why = "the supervisor did not start"
    _wait(
        lambda: local.supervisor_of(place) is not None or started.poll() is not None,
        _START_SECONDS,
        why,
        place,
    )
    if started.poll() is not None:
        session.fail(f"{why}; see {place.supervisor_log}")


def _wait_until_ready(place: "folder.Folder", mine: set[tuple[str, str]], timeout: float) -> None:
    from vectorfleet_operator.adapters.local import view  # noqa: PLC0415  an extra

    console = rich.console.Console(stderr=True)
    end = time.monotonic() + timeout
    with console.status("starting") if console.is_terminal else contextlib.nullcontext() as shown:
        while True:
            found = [one for one in view.indexes(place) if (one.namespace, one.name) in mine]
            waiting = [one for one in found if not one.ready]
            if len(found) == len(mine) and not waiting:
                return
            for one in waiting:
                if one.stalled:
                    session.fail(f"{one.name}: {one.message}")
            told = "; ".join(f"{one.name}: {one.message}" for one in waiting) or "starting"
            if isinstance(shown, rich.status.Status):
                shown.update(output.printable(told))
            if time.monotonic() > end:
                session.fail(f"not ready after {timeout:g} s: {told}; see {place.root / 'logs'}")
            time.sleep(_POLL_SECONDS)


def _show(place: "folder.Folder", *, show_key: bool) -> None:
    from vectorfleet_operator.adapters.local import view  # noqa: PLC0415  an extra

    headings = [
        "index",
        "ready",
        "shards",
        "vectors",
        "model",
        "endpoint",
        "memory",
        "API key" if show_key else "API key file",
    ]
    lines = [
        (
            one.name,
            "yes" if one.ready else f"no: {one.message}",
            f"{one.status.ready_shards}/{one.status.shards}",
            f"{one.status.vectors:,}",
            one.model,
            one.endpoint,
            f"{sum(pod.memory_bytes for pod in one.pods) / 2**20:,.0f} MiB",
            view.read_key(place, one) if show_key else one.api_key_file,
        )
        for one in view.indexes(place)
    ]
    output.write_table(headings, lines, numbers=("vectors", "memory"))


def _suggest(place: "folder.Folder", mine: set[tuple[str, str]]) -> None:
    from vectorfleet_operator.adapters.local import view  # noqa: PLC0415  an extra

    one = next(one for one in view.indexes(place) if (one.namespace, one.name) in mine)
    session.complain("try:")
    typer.echo(
        f"  export VECTORFLEET_URL={one.endpoint} VECTORFLEET_API_KEY=$(cat {one.api_key_file})", err=True
    )
    typer.echo("  vectorfleet stats", err=True)


def _as_json(one: "view.IndexView") -> dict[str, Any]:
    return {
        "namespace": one.namespace,
        "name": one.name,
        "ready": one.ready,
        "message": one.message,
        "model": one.model,
        "shards": one.status.shards,
        "readyShards": one.status.ready_shards,
        "vectors": one.status.vectors,
        "endpoint": one.endpoint,
        "apiKeyFile": one.api_key_file,
        "conditions": [
            {"type": each.type, "status": each.status, "reason": each.reason, "message": each.message}
            for each in one.status.conditions
        ],
        "pods": [
            {
                "name": pod.name,
                "ready": pod.ready,
                "address": pod.address,
                "pid": pod.pid,
                "memoryBytes": pod.memory_bytes,
                "log": pod.log,
            }
            for pod in one.pods
        ],
    }


def _take_down(place: "folder.Folder", chosen: "list[view.IndexView]", timeout: float) -> None:
    if not chosen and not any(place.root.glob("pods/*/*")):
        return
    _ensure_supervisor(place)
    _request(place, [{"delete": [one.namespace, one.name]} for one in chosen])
    gone = [place.pod(one.namespace, pod.name) for one in chosen for pod in one.pods]
    _wait(lambda: not any(path.exists() for path in gone), timeout, "processes still run", place)


def _stop_supervisor(place: "folder.Folder") -> None:
    from vectorfleet_operator import local  # noqa: PLC0415  an extra

    pid = local.supervisor_of(place)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        _wait(
            lambda: local.supervisor_of(place) is None, _STOP_SECONDS, "the supervisor does not stop", place
        )


def _settle_volumes(place: "folder.Folder", names: list[str] | None, *, delete: bool) -> None:
    from vectorfleet_operator.adapters.local import view  # noqa: PLC0415  an extra

    for path, index in view.claims(place):
        if names is not None and index not in names:
            continue
        if delete:
            shutil.rmtree(path)
        else:
            session.complain(f"kept the volume {path}")


@contextlib.contextmanager
def _interruptible(place: "folder.Folder", *, take_down: bool) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if take_down:
            down(state_dir=place.root)
            return
        session.complain("interrupted; what was started runs on: `vectorfleet down` ends it")
        raise typer.Exit(130) from None


def _wait(reached: Callable[[], bool], timeout: float, why: str, place: "folder.Folder") -> None:
    end = time.monotonic() + timeout
    while not reached():
        if time.monotonic() > end:
            session.fail(f"{why} after {timeout:g} s; see {place.supervisor_log}")
        time.sleep(_POLL_SECONDS)
