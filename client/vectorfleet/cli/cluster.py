"""What `up`, `status` and `down` do: requests to the supervisor, and what its files tell."""

import contextlib
import dataclasses
import pathlib
import shutil
import time
from collections.abc import Iterator
from typing import Any

import rich.console
import rich.status
import typer

from vectorfleet_operator import errors
from vectorfleet_operator.adapters.local import folder, inbox, manifests, view, volumes

from . import control, output, session, supervisor

Name = tuple[str, str]
"""Namespace and name of an index."""


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Turn what the operator's side of a state directory refuses into one line and a status."""
    try:
        yield
    except (errors.OperatorError, OSError) as error:
        session.fail(str(error))


class Cluster:
    """The indexes of one state directory, from a user's side."""

    def __init__(self, root: pathlib.Path) -> None:
        self._place = folder.Folder(root)
        self._supervisor = supervisor.Supervisor(self._place)

    def apply(self, files: list[pathlib.Path]) -> set[Name]:
        """Have the manifests of some files kept, and return the indexes among them."""
        try:
            wanted = [one for path in files for one in manifests.read(path)]
            manifests.check_changes(wanted, view.manifests(self._place))
        except errors.InvalidSpec as error:
            session.fail(str(error), status=2)
        self._supervisor.ensure()
        self._supervisor.request([inbox.Apply(one) for one in wanted])
        return {
            (one["metadata"]["namespace"], one["metadata"]["name"])
            for one in wanted
            if one["kind"] != "Secret"
        }

    def open_control_plane(self, timeout: float) -> None:
        """Have the control plane's API served, by the keys that it has or a new one."""
        if view.control_plane(self._place) is None:
            self._supervisor.request([inbox.Apply(control.build_secret())])
        why = "the control plane's API does not answer"
        self._supervisor.wait(lambda: control.answers(view.control_plane(self._place)), timeout, why)

    def wait_until_ready(self, mine: set[Name], timeout: float) -> None:
        """Return once indexes serve what their manifests ask for; say meanwhile what is waited for."""
        console = rich.console.Console(stderr=True)
        end = time.monotonic() + timeout
        with console.status("starting") if console.is_terminal else contextlib.nullcontext() as shown:
            while told := self._waiting_for(mine):
                if isinstance(shown, rich.status.Status):
                    shown.update(output.printable(told))
                if time.monotonic() > end:
                    session.fail(f"not ready after {timeout:g} s: {told}{self._troubles(mine)}")
                if not self._supervisor.is_there:
                    session.fail(f"the supervisor has ended; see {self._place.supervisor_log}")
                time.sleep(supervisor.POLL_SECONDS)

    def watch(self) -> None:
        """Stay until interrupted, or until the supervisor is gone."""
        while self._supervisor.is_there:
            time.sleep(1)
        session.fail(f"the supervisor has ended; see {self._place.supervisor_log}")

    def all_ready(self) -> bool:
        """Whether every index serves what its manifest asks for."""
        return all(one.ready for one in view.indexes(self._place))

    def show(self, *, show_key: bool) -> None:
        """Print every index as a table."""
        key = "API key" if show_key else "API key file"
        headings = ["index", "ready", "shards", "vectors", "model", "endpoint", "memory", key]
        found = view.indexes(self._place)
        lines = [self._line(one, show_key=show_key) for one in found]
        output.write_table(headings, lines, numbers=("vectors", "memory"))
        for one in found:
            for trouble in one.troubles:
                session.complain(output.printable(f"{one.name}: {trouble}"))
        if (api := view.control_plane(self._place)) is not None:
            typer.echo(control.describe(api, show_key=show_key))
        if found and not self._supervisor.is_there:
            session.complain("no operator runs: the indexes serve on, but nothing mends them; `up` starts it")

    def suggest(self, mine: set[Name]) -> None:
        """Say what to try next."""
        one = next((one for one in view.indexes(self._place) if (one.namespace, one.name) in mine), None)
        if one is None:
            return
        session.complain("try:")
        variables = f"VECTORFLEET_URL={one.endpoint} VECTORFLEET_API_KEY=$(cat '{one.api_key_file}')"
        typer.echo(f"  export {variables}\n  vectorfleet stats", err=True)

    def as_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        found = [_as_json(one) for one in view.indexes(self._place)]
        told = {"supervisor": self._supervisor.pid, "indexes": found}
        api = view.control_plane(self._place)
        return told if api is None else told | {"controlPlane": control.as_json(api)}

    def down(self, names: list[str], timeout: float, *, delete_data: bool) -> None:
        """Delete indexes, all where none is named; keep or remove their volumes."""
        if not self._place.root.exists():
            return
        if not inbox.is_empty(self._place):  # an `up` was cut short
            self._supervisor.request([])
        chosen = self._choose(names) if names else {(one.namespace, one.name) for one in self._known()}
        there = [one for one in view.indexes(self._place) if (one.namespace, one.name) in chosen]
        going = [inbox.Delete(("VectorIndex", one.namespace, one.name)) for one in there]
        if not names and view.control_plane(self._place) is not None:
            # First, so that nobody makes an index while all are taken down.
            going.insert(0, inbox.Delete(("Secret", view.CONTROL_NAMESPACE, view.CONTROL_SECRET)))
        if going or (not names and self._place.pods()):
            self._supervisor.ensure()
            self._supervisor.request(going)
            self._supervisor.wait(
                lambda: self._is_gone(chosen if names else None), timeout, "processes still run"
            )
        if not names:
            self._supervisor.stop()
        self._settle_volumes(chosen, delete=delete_data)

    def _line(self, one: view.IndexView, *, show_key: bool) -> tuple[str, ...]:
        return (
            one.name if one.namespace == "default" else f"{one.namespace}/{one.name}",
            "yes" if one.ready else f"no: {one.message}",
            f"{one.status.ready_shards}/{one.status.shards}",
            f"{one.status.vectors:,}",
            one.model,
            one.endpoint,
            f"{sum(pod.memory_bytes for pod in one.pods) / 2**20:,.0f} MiB",
            view.read_key(self._place, one) if show_key else one.api_key_file,
        )

    def _waiting_for(self, mine: set[Name]) -> str:
        found = [one for one in view.indexes(self._place) if (one.namespace, one.name) in mine]
        waiting = [one for one in found if not one.ready]
        for one in waiting:
            if one.stalled:
                session.fail(f"{one.name}: {one.message}")
        if waiting:
            return "; ".join(f"{one.name}: {one.message}" for one in waiting)
        return "starting" if len(found) < len(mine) else ""

    def _troubles(self, mine: set[Name]) -> str:
        """Return what keeps each pod of some indexes from being ready, and where its log is."""
        found = [one for one in view.indexes(self._place) if (one.namespace, one.name) in mine]
        waiting = [pod for one in found for pod in one.pods if not pod.ready]
        return "".join(f"\n  {pod.name}: {_why(pod)}" for pod in waiting)

    def _known(self) -> list["_Named"]:
        """Return the indexes that there are, and those of which only volumes are left."""
        there = {_Named(one.namespace, one.name) for one in view.indexes(self._place)}
        left = {_Named(one.pod[0], one.index) for one in volumes.claims(self._place)}
        return sorted(there | left, key=lambda one: (one.namespace, one.name))

    def _choose(self, names: list[str]) -> set[Name]:
        known, chosen = self._known(), set()
        for name in names:
            found = [one for one in known if name in (one.name, f"{one.namespace}/{one.name}")]
            if not found:
                there = ", ".join(f"{one.namespace}/{one.name}" for one in known) or "none"
                session.fail(f"no such index: {name}; there is {there}")
            chosen |= {(one.namespace, one.name) for one in found}
        return chosen

    def _is_gone(self, chosen: set[Name] | None) -> bool:
        """Whether no pod of some indexes is left, of any where None, nor a volume that goes with them."""
        going = [one for one in volumes.claims(self._place) if one.when_deleted == "Delete"]
        if chosen is None:
            return not self._place.pods() and not going
        pods = view.pod_folders(self._place, chosen)
        return not pods and not [one for one in going if (one.pod[0], one.index) in chosen]

    def _settle_volumes(self, chosen: set[Name], *, delete: bool) -> None:
        for one in volumes.claims(self._place):
            if (one.pod[0], one.index) not in chosen:
                continue
            if delete:
                shutil.rmtree(one.path)
            else:
                session.complain(f"kept the volume {one.path}")


@dataclasses.dataclass(frozen=True)
class _Named:
    namespace: str
    name: str


def _why(pod: view.PodView) -> str:
    """Say why a pod isn't ready and where its log is, once."""
    why = pod.trouble or "not started"
    return why if pod.log in why else f"{why}; see {pod.log}"


def _as_json(one: view.IndexView) -> dict[str, Any]:
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
                "message": pod.trouble,
                "address": pod.address,
                "pid": pod.pid,
                "memoryBytes": pod.memory_bytes,
                "log": pod.log,
            }
            for pod in one.pods
        ],
    }
