"""What workers have in common: one command a line on standard input, one answer a line on standard output.

A worker runs in its peer's own environment, which has numpy and little else of ours.
"""

import concurrent.futures
import json
import pathlib
import sys
import time
from typing import Any, Protocol

import numpy as np

ANSWER = "ANSWER "
"""What an answer's line begins with; libraries may print others."""


class Library(Protocol):
    """An embedded vector database, opened in a folder."""

    def load(self, vectors: Any) -> None:
        """Write all rows, (n, dimensions) float32, each with its number as id."""
        ...

    def settle(self) -> None:
        """Return when all is in the index."""
        ...

    def search(self, vector: Any, k: int, effort: int) -> list[int]:
        """Return the ids of the nearest rows."""
        ...


def answer(library: Library, folder: pathlib.Path) -> None:
    """Do what is asked until standard input ends; vectors are in two files of the folder."""
    asked = np.load(folder / "asked.npy")
    for line in sys.stdin:
        told = json.loads(line)
        print(ANSWER + json.dumps(_do(library, folder, asked, told)), flush=True)


def _do(library: Library, folder: pathlib.Path, asked: Any, told: dict[str, Any]) -> Any:
    match told["do"]:
        case "load":
            return library.load(np.load(folder / "stored.npy"))
        case "settle":
            return library.settle()
        case "answers":
            return [library.search(vector, told["k"], told["effort"]) for vector in asked]
        case _:
            return _press(library, asked, told)


def _press(library: Library, asked: Any, told: dict[str, Any]) -> list[float]:
    """Ask in threads, each one query at a time; return the seconds of each query."""
    end = time.perf_counter() + told["seconds"]

    def ask(first: int) -> list[float]:
        took, number, begin = [], first, time.perf_counter()
        while begin < end:
            library.search(asked[number], told["k"], told["effort"])
            number, now = (number + 1) % len(asked), time.perf_counter()
            took.append(now - begin)
            begin = now
        return took

    with concurrent.futures.ThreadPoolExecutor(told["connections"]) as pool:
        return [one for each in pool.map(ask, range(told["connections"])) for one in each]
