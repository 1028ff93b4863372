"""Options in groups: typer sees each one in its place, and the command gets them group by group."""

import dataclasses
import inspect
from typing import Annotated

import pytest
import typer
import typer.testing

from vectorfleet.cli import data, groups, key, query, serve, upsert


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where it is."""

    host: Annotated[str, typer.Option("--host", help="Which one.")]
    port: Annotated[int, typer.Option("--port", min=1)] = 80


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manner:
    """How it is done."""

    words: Annotated[list[str] | None, typer.Argument()] = None
    loud: Annotated[bool, typer.Option("--loud")] = False


def run(*words):
    """Run a command of two groups and an option of its own; return what it was given."""
    given, app = [], typer.Typer()

    @app.command()
    @groups.grouped
    def command(*, place: Place, often: Annotated[int, typer.Option("--often")] = 1, manner: Manner) -> None:
        """Do it."""
        given.append((place, often, manner))

    done = typer.testing.CliRunner().invoke(app, words)
    return done, given


def test_options_come_in_groups():
    """With their defaults, or as they were given; those of the command itself too."""
    _, [given] = run("--host", "a")
    assert given == (Place(host="a"), 1, Manner())
    _, [given] = run("--often", "2", "x", "--host", "b", "--port", "81", "--loud", "y")
    assert given == (Place(host="b", port=81), 2, Manner(words=["x", "y"], loud=True))


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "--host"), (("--host", "a", "--port", "0"), "--port"), (("--host", "a", "--quiet"), "--quiet")],
)
def test_a_wrong_option_is_named(words, said):
    """As it is of a command without groups."""
    done, given = run(*words)
    assert (done.exit_code, given) == (2, [])
    assert said in done.output


def test_help_is_in_the_order_of_groups():
    """And has the command's own words."""
    done, _ = run("--help")
    places = [done.output.index(name) for name in ("Do it.", "--host", "--port", "--often", "--loud")]
    assert places == sorted(places)


@pytest.mark.parametrize("command", [serve.serve, query.query, upsert.upsert, data.fetch, key.key])
def test_no_command_is_a_wall(command):
    """Its own source fits a page."""
    assert len(inspect.getsource(inspect.unwrap(command)).splitlines()) <= 75
