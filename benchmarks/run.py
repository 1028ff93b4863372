"""Measures a shard beside raw FAISS in one run, and writes Markdown tables and plots."""

import os
import pathlib
from collections.abc import Callable, Iterator

import compression
import engine
import filters
import growth
import ingest
import latency
import options
import report
import text

PARTS: dict[str, Callable[[options.Options], Iterator[report.Section]]] = {
    "engine": engine.measure,
    "ingest": ingest.measure,
    "latency": latency.measure,
    "growth": growth.measure,
    "compression": compression.measure,
    "filters": filters.measure,
    "text": text.measure,
}


def main() -> None:
    """Run what was asked for."""
    parser = options.parser(__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas (default: all)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results")
    asked = parser.parse_args()
    given, load, sections = options.of(asked), [], []
    for name in asked.only.split(","):
        load.append(os.getloadavg()[0])
        sections += PARTS[name](given)
        report.write(asked.out, report.head(given.data().title, load), sections)
    print((asked.out / "results.md").read_text())


if __name__ == "__main__":
    main()
