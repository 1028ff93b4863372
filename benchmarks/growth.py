"""What ten times the rows cost: queries/s in one thread, memory and start-up."""

import asyncio
from collections.abc import Iterator

import contest
import datasets
import engine
import numpy as np
import options
import report
import shard

EF = 100
PER_CPU = "queries for each second of CPU"


def measure(given: options.Options) -> Iterator[report.Section]:
    """Load two sizes of the same kind of vectors, and compare what they cost."""
    data = given.data()
    large = datasets.grown(data, given.growth)
    small = datasets.grown(data, given.growth // 10)
    found = [asyncio.run(_measure(one)) for one in (small, large)]
    ratio = found[1][PER_CPU] / found[0][PER_CPU]
    names = list(found[0])
    rows = [[name, found[0][name], found[1][name]] for name in names]
    text = (
        f"{large.title}; cosine, efSearch {EF}. Queries for each second of CPU at ten times the rows: "
        f"{ratio:.2f} x. The formula for resident bytes is 4 x dimensions for the compared vectors and "
        "8 x M + 12 for a row's links; "
        "vectors as sent are read from the disk when they are asked for."
    )
    yield report.Section("Growth", text, ["", *(f"{len(one.stored):,} rows" for one in (small, large))], rows)


async def _measure(data: datasets.Dataset) -> dict[str, float]:
    count, dimensions = data.stored.shape
    options.say(f"a shard loads {count:,} rows and settles")
    async with shard.room(dimensions) as room:
        await room.write(data.stored, np.arange(count), 1000)
        await room.settled()
        state = room.opened.shard.snapshot
        found = contest.compare(data.asked, data.exact(10), {"shard": engine.shard_answer(room, EF)})["shard"]
        options.say("it is opened anew")
        started, resident = await asyncio.to_thread(shard.start_alone, room.folder, data.asked)
        formula = count * (dimensions * 4 + 8 * engine.M + 12)
        return {
            "segments": len(state.sealed),
            "recall@10": found.recall,
            PER_CPU: found.per_cpu_second,
            "queries/s, one thread": found.per_second,
            "start-up seconds per million rows": started * 1e6 / count,
            "resident bytes a row": resident / count,
            "formula's bytes a row": formula / count,
            "resident over formula": resident / formula,
        }
