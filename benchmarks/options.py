"""What a run is asked for: data, sizes, and where the answer goes."""

import argparse
import dataclasses
import os
import pathlib
import time

import datasets


@dataclasses.dataclass(frozen=True)
class Options:
    """Sizes of one run.

    Attributes:
        folder: the packages' vectors, and their texts; None where there are none.
        fashion: whether Fashion-MNIST is measured with, which has no texts.
        rows: how many are stored.
        queries: how many are asked.
        growth: rows of the larger size that growth is measured at.
        quick: whether everything is to be small.
        out: folder of the results.
        contenders: of the part `peers`; none given: all.
        add: whether results of earlier runs of that part are kept beside the new ones.
        fill: of the part `replication`: GiB of vectors of which a member is filled; 0 for none.
    """

    folder: pathlib.Path | None
    rows: int
    queries: int
    growth: int
    quick: bool
    out: pathlib.Path
    contenders: tuple[str, ...] = ()
    add: bool = False
    fashion: bool = False
    fill: float = 0.0

    def data(self) -> datasets.Dataset:
        """Load or make the vectors."""
        if self.fashion:
            return datasets.fashion_mnist(self.rows, self.queries)
        return datasets.load(self.folder, self.rows, self.queries)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options that every benchmark takes."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "--data",
        default=os.environ.get("VECTORFLEET_BENCH_DATA"),
        help="folder with vectors.f16.npy and queries.f16.npy, or fashion-mnist for the set of Debian's "
        "package; clustered vectors are made where not given",
    )
    made.add_argument("--rows", type=int, default=63_440)
    made.add_argument("--growth", type=int, default=0, help="rows of the larger size (default 300,000)")
    made.add_argument("--quick", action="store_true", help="5,000 rows, 200 queries, 20,000 rows for growth")
    made.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results")
    made.add_argument(
        "--contenders", default="", help="of the part peers, separated by commas (default: all)"
    )
    made.add_argument(
        "--add", action="store_true", help="keep what peers measured before, beside what is new"
    )
    made.add_argument(
        "--fill",
        type=float,
        default=0.0,
        metavar="GIB",
        help="of the part replication: fill a member of as many GiB of vectors too, made from a seed",
    )
    return made


def of(given: argparse.Namespace) -> Options:
    """Return the options that were given."""
    fashion = given.data == datasets.FASHION_MNIST
    folder = pathlib.Path(given.data) if given.data and not fashion else None
    rows, queries = (5_000, 200) if given.quick else (given.rows, 1_000)
    growth = given.growth or (20_000 if given.quick else 300_000)
    contenders = tuple(filter(None, given.contenders.split(",")))
    return Options(
        folder, rows, queries, growth, given.quick, given.out, contenders, given.add, fashion, given.fill
    )


def say(what: str) -> None:
    """Show progress."""
    print(f"{time.strftime('%H:%M:%S')} {what} …", flush=True)
