"""The simulator notices a replica, or an operator, that leaves out one rule of the protocol."""

import pathlib
import re

import pytest
from simulation import finding, mutants, usual, world

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "testing.md"
ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (usual|tuned) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)


@pytest.mark.timeout(1200)  # of a machine that has much else to do: some take hundreds of schedules
@pytest.mark.parametrize("mutation", mutants.DESCRIPTIONS)
def test_r34_each_rule_that_is_left_out_is_noticed(mutation):
    """A schedule breaks a promise, or leaves the core in a state that can't be, within the usual number."""
    most = usual.USUAL[mutation].most
    assert finding.schedules_until_found(mutation, most) is not None, f"not noticed in {most} schedules"


@pytest.mark.parametrize("mutation", mutants.WEATHER)
def test_no_weather_breaks_the_whole_protocol(mutation):
    """What was found is the mutation's doing: the same schedules pass with all rules."""
    for seed in range(30):
        world.play(seed, mutants.plan_for(mutation, seed))


def test_the_page_says_what_is_usual():
    """Each rule is in the table: in its own words, with its weather and the numbers that bind the suite."""
    told = {name: tuple(rest) for name, *rest in ROW.findall(PAGE.read_text())}
    assert told == {
        name: (
            _in_a_table(description),
            "tuned" if name in mutants.WEATHER else "usual",
            *(str(usual.USUAL[name][at]) for at in (2, 0, 1)),
        )
        for name, description in mutants.DESCRIPTIONS.items()
    }


def _in_a_table(description):
    return description[0].lower() + description[1:].removesuffix(".")
