"""Tells when codes find too little: the recall that was measured at the build, against the floor.

A segment below its floor is served all the same, since most of its answers are right, and said aloud.
"""

from collections.abc import Sequence

from .api import config, shard_pb2
from .segments import descriptor

_GENTLER = {
    config.QuantizationKind.RABITQ: "pq or sq8",
    config.QuantizationKind.PQ: "a smaller ratio, or sq8",
    config.QuantizationKind.SQ8: "float16 or none",
    config.QuantizationKind.FLOAT16: "none",
}


def conditions(
    wanted: config.Quantization, segments: Sequence[descriptor.Descriptor]
) -> list[shard_pb2.Condition]:
    """Return RecallLow where a code of some segment is unfit for its rows; nothing where all are fit.

    Args:
        wanted: the configuration's; floor and rescoring may have changed since segments were built.
        segments: those that are served.
    """
    coded = [described for described in segments if described.recipe.spec.coded and described.measured]
    worst = min(coded, key=lambda described: _recall(wanted, described), default=None)
    if worst is None or (recall := _recall(wanted, worst)) >= wanted.recall_floor:
        return []
    message = f"{_finding(wanted, worst, recall)}; {_cure(wanted, worst)}"
    return [shard_pb2.Condition(type="RecallLow", reason="QuantizerUnfit", message=message)]


def _recall(wanted: config.Quantization, described: descriptor.Descriptor) -> float:
    measured = described.measured
    if measured is None:
        return 1.0
    return measured.recall if wanted.rescore else measured.estimated


def _finding(wanted: config.Quantization, worst: descriptor.Descriptor, recall: float) -> str:
    measured = worst.measured
    queries, times = (measured.queries, measured.oversampling) if measured else (0, 0)
    how = f"with oversampling {times}" if wanted.rescore else "without rescoring"
    return (
        f"{worst.recipe.quantization.kind} is unfit for these vectors: recall@10 {how} is {recall:.3f} on "
        f"{queries} of a segment's {worst.rows} rows, the floor is {wanted.recall_floor:.3f}"
    )


def _cure(wanted: config.Quantization, worst: descriptor.Descriptor) -> str:
    first = "more oversampling" if wanted.rescore else "rescoring"
    return f"try {first}, or {_GENTLER[worst.recipe.quantization.kind]}"
