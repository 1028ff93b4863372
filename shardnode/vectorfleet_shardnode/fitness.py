"""Tells when codes find too little: the recall that was measured at the build, against the floor.

The rows' values and each vector field have codes and a floor of their own; one condition tells of all.

A segment below its floor is served all the same, since most of its answers are right, and said aloud.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from .api import config, shard_pb2
from .segments import descriptor

_GENTLER = {
    config.QuantizationKind.RABITQ: "pq or sq8",
    config.QuantizationKind.PQ: "a smaller ratio, or sq8",
    config.QuantizationKind.SQ8: "float16 or none",
    config.QuantizationKind.FLOAT16: "none",
}


@dataclasses.dataclass(frozen=True)
class _Coded:
    """What the codes of one segment reached: of the values, or of the vector field that `of` names."""

    of: str
    kind: config.QuantizationKind
    measured: descriptor.Measured
    total: str


def conditions(
    serving: config.Generation, segments: Sequence[descriptor.Descriptor]
) -> list[shard_pb2.Condition]:
    """Return RecallLow where codes of some segment are unfit for its vectors; nothing where all are fit.

    Args:
        serving: the configuration's; floors and rescoring may have changed since segments were built.
        segments: those that are served.
    """
    told = [_judged(serving.quantization, [one for part in segments for one in _values(part)])]
    told += [
        _judged(field.quantization, [one for part in segments for one in _field(part, field.name)])
        for field in serving.vectors
    ]
    message = "; ".join(said for said in told if said)
    if not message:
        return []
    return [shard_pb2.Condition(type="RecallLow", reason="QuantizerUnfit", message=message)]


def _values(described: descriptor.Descriptor) -> Iterator[_Coded]:
    if described.recipe.spec.coded and described.measured:
        kind, total = described.recipe.quantization.kind, f"a segment's {described.rows} rows"
        yield _Coded("", kind, described.measured, total)


def _field(described: descriptor.Descriptor, name: str) -> Iterator[_Coded]:
    for field in described.recipe.vectors:
        if field.name == name and (measured := described.measured_fields.get(name)):
            kind, total = field.quantization.kind, f"the vectors of a segment of {described.rows} rows"
            yield _Coded(f'vector field "{name}": ', kind, measured, total)


def _judged(wanted: config.Quantization, coded: Sequence[_Coded]) -> str:
    """Return what is wrong with the worst, empty where it is fit."""
    worst = min(coded, key=lambda one: _recall(wanted, one), default=None)
    if worst is None or (recall := _recall(wanted, worst)) >= wanted.recall_floor:
        return ""
    return f"{worst.of}{_finding(wanted, worst, recall)}; {_cure(wanted, worst)}"


def _recall(wanted: config.Quantization, coded: _Coded) -> float:
    return coded.measured.recall if wanted.rescore else coded.measured.estimated


def _finding(wanted: config.Quantization, worst: _Coded, recall: float) -> str:
    measured = worst.measured
    how = f"with oversampling {measured.oversampling}" if wanted.rescore else "without rescoring"
    return (
        f"{worst.kind} is unfit for these vectors: recall@10 {how} is {recall:.3f} on "
        f"{measured.queries} of {worst.total}, the floor is {wanted.recall_floor:.3f}"
    )


def _cure(wanted: config.Quantization, worst: _Coded) -> str:
    first = "more oversampling" if wanted.rescore else "rescoring"
    return f"try {first}, or {_GENTLER[worst.kind]}"
