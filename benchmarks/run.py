"""Measures a shard beside raw FAISS in one run, and writes Markdown tables and plots.

All parts take some 25 minutes on two quiet cores, `--quick` some 4. The load average is
written with each part, before and after: above 1 before the first, others have the machine too.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

import amplification
import compression
import copying
import engine
import faults
import field_codes
import filters
import growth
import ingest
import latency
import multivector
import options
import query
import replication
import report
import sparse
import text
from peers import filtered, hybrid, scale
from peers import part as peers

PARTS: dict[str, Callable[[options.Options], Iterator[report.Section]]] = {
    "engine": engine.measure,
    "query": query.measure,
    "ingest": ingest.measure,
    "write-amplification": amplification.measure,
    "latency": latency.measure,
    "growth": growth.measure,
    "compression": compression.measure,
    "filters": filters.measure,
    "text": text.measure,
    "multivector": multivector.measure,
    "field-codes": field_codes.measure,
    "sparse": sparse.measure,
    "peers": peers.measure,
    "filtered": filtered.measure,
    "hybrid": hybrid.measure,
    "scale": scale.measure,
    "replication": replication.measure,
    "faults": faults.measure,
    "copying": copying.measure,
}


LONG = ("scale",)
"""What is measured only where it is named."""


def main() -> None:
    """Run what was asked for."""
    parser = options.parser(__doc__)
    usual = ",".join(name for name in PARTS if name not in LONG)
    parser.add_argument("--only", default=usual, help=f"parts, separated by commas (default: {usual})")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended with us
    given, parts, sections = options.of(asked), [], []
    for name in asked.only.split(","):
        before, begin = os.getloadavg()[0], time.perf_counter()
        for section in PARTS[name](given):
            sections.append(section)
            report.write(asked.out, report.head(given.data().title, parts), sections)  # another may fail
        parts.append(report.Part(name, time.perf_counter() - begin, before, os.getloadavg()[0]))
        report.write(asked.out, report.head(given.data().title, parts), sections)
    print((asked.out / "results.md").read_text())


if __name__ == "__main__":
    main()
