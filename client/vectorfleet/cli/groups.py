"""Options in groups: a command takes dataclasses, and each of their fields is an option.

```python
@dataclasses.dataclass(frozen=True, kw_only=True)
class Listening:
    port: Annotated[int, typer.Option("--port")] = 8080

@groups.grouped
def serve(*, listening: Listening) -> None: ...
```
typer sees a function that has every option itself, in the order of groups and fields.
"""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

Command = Callable[..., None]


def grouped(command: Command) -> Command:
    """Return a command with an option for each field of the groups that `command` takes.

    Names of fields are of one command: no two of its groups may share one.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}
    flat = [
        option
        for name, own in inspect.signature(command).parameters.items()
        for option in (_options(groups[name]) if name in groups else [own.replace(annotation=hints[name])])
    ]

    @functools.wraps(command)
    def call(**given: Any) -> None:
        made = {name: _make(group, given) for name, group in groups.items()}
        command(**given, **made)

    call.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    call.__annotations__ = {option.name: option.annotation for option in flat}
    return call


def _options(group: Any) -> Iterator[inspect.Parameter]:
    hints = typing.get_type_hints(group, include_extras=True)
    for field in dataclasses.fields(group):
        default = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name]
        )


def _make(group: Any, given: dict[str, Any]) -> Any:
    return group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
