"""How rtamt, sentil and stlcg++ differ from custodes, each on one small trace: `python -m benchmarks.stl_differences`.

Every row is measured, not remembered; docs/stl.md quotes this table. A peer that refuses or fails shows its last words.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from custodes.stl.batched import evaluate
from custodes.stl.bench.environments import interpreter
from custodes.stl.bench.worker import Worker, WorkerError
from custodes.stl.errors import StlError
from custodes.stl.parser import parse

FALLING = {"x": [0.5, 0.4, 0.3, 0.2, 0.1, -0.2]}
PAIR = {"x": [0.5, -0.5, 1.0, 2.0], "y": [1.0, 2.0, -3.0, 4.0]}
THREAT = {"x": [0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], "y": [0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0]}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One formula in two tongues."""

    what: str
    """What it shows."""
    peer: str
    """rtamt, sentil or stlcgpp."""
    theirs: Any
    """Formula for the peer: text, or a tree for stlcg++."""
    ours: str
    """The same for custodes."""
    trace: dict[str, list[float]]
    """Signals."""
    how: str = "many"
    """many: offline. streamed: its online monitor after pastify."""


ROWS = (
    Row(what="next after the last sample", peer="rtamt", theirs="next(x > 0)", ours="next(x > 0)", trace=FALLING),
    Row(what="next after the last sample", peer="sentil", theirs="next(x > 0)", ours="next(x > 0)", trace=FALLING),
    Row(what="previous before the first", peer="rtamt", theirs="prev(x > 0)", ours="prev(x > 0)", trace=FALLING),
    Row(what="iff", peer="rtamt", theirs="(x>0) <-> (y>0)", ours="(x > 0) <-> (y > 0)", trace=PAIR),
    Row(what="xor", peer="rtamt", theirs="(x>0) xor (y>0)", ours="(x > 0) xor (y > 0)", trace=PAIR),
    Row(
        what="-> without parentheses (left-associative there)",
        peer="rtamt",
        theirs="(x>0) -> (y>0) -> (x>1)",
        ours="(x > 0) -> (y > 0) -> (x > 1)",
        trace=PAIR,
    ),
    Row(
        what="-> without parentheses (right-associative there)",
        peer="sentil",
        theirs="(x>0) -> (y>0) -> (x>1)",
        ours="(x > 0) -> (y > 0) -> (x > 1)",
        trace=PAIR,
    ),
    Row(what="chained comparison", peer="rtamt", theirs="0.1 < x < 0.3", ours="0.1 < x < 0.3", trace=FALLING),
    Row(what="chained comparison", peer="sentil", theirs="0.1 < x < 0.3", ours="0.1 < x < 0.3", trace=FALLING),
    Row(what="minus before a name", peer="rtamt", theirs="-x > 0", ours="-x > 0", trace=FALLING),
    Row(what="division of a name", peer="rtamt", theirs="x/2.5 > 0", ours="x/2.5 > 0", trace=FALLING),
    Row(what="a bound without end", peer="rtamt", theirs="G[2,inf](x > 0)", ours="G[2,inf](x > 0)", trace=FALLING),
    Row(what="a bare name", peer="rtamt", theirs="always[0,1](x)", ours="always[0,1](x)", trace=FALLING),
    Row(
        what="a trace of one sample",
        peer="rtamt",
        theirs="always(x > 0)",
        ours="always(x > 0)",
        trace={"x": [0.5]},
    ),
    Row(
        what="online after pastify (value of sample t - 5 at t)",
        peer="rtamt",
        theirs="always[0,3]((x < 0.5) -> eventually[0,2](y > 0.2))",
        ours="always[0,3]((x < 0.5) -> eventually[0,2](y > 0.2))",
        trace=THREAT,
        how="streamed",
    ),
    Row(
        what="window over the end",
        peer="stlcgpp",
        theirs=["Always", ["GreaterThan", "x", 0.0], [0, 3]],
        ours="always[0,3](x > 0)",
        trace=FALLING,
    ),
    Row(
        what="window beyond the end",
        peer="stlcgpp",
        theirs=["Always", ["GreaterThan", "x", 0.0], [2, 4]],
        ours="always[2,4](x > 0)",
        trace=FALLING,
    ),
    Row(
        what="guard of until (inclusive there)",
        peer="stlcgpp",
        theirs=["Until", ["GreaterThan", "x", 0.0], ["GreaterThan", "y", 0.0], [0, 1]],
        ours="(x > 0) until[0,1] (y > 0)",
        trace=PAIR,
    ),
    Row(
        what="the same, rewritten here",
        peer="stlcgpp",
        theirs=["Until", ["GreaterThan", "x", 0.0], ["GreaterThan", "y", 0.0], [0, 1]],
        ours="(x > 0) until[0,1] ((x > 0) and (y > 0))",
        trace=PAIR,
    ),
    Row(
        what="NaN in a signal",
        peer="rtamt",
        theirs="always[0,1](x > 0)",
        ours="always[0,1](x > 0)",
        trace={"x": [0.5, float("nan"), 0.3, 0.2]},
    ),
    Row(
        what="NaN in a signal",
        peer="sentil",
        theirs="always[0,1](x > 0)",
        ours="always[0,1](x > 0)",
        trace={"x": [0.5, float("nan"), 0.3, 0.2]},
    ),
)


def theirs(row: Row) -> list[float] | str:
    """What the peer says, or its last words."""
    python, reason = interpreter(row.peer)
    if python is None:
        return reason
    with Worker(row.peer, python) as worker:
        try:
            if row.how == "many":
                values: list[float] = worker.ask("many", jobs=[(row.theirs, row.trace)])["values"][0]
            else:
                values = worker.ask(row.how, formula=row.theirs, trace=row.trace)["values"]
        except WorkerError as error:
            return str(error)
    return values


def ours(row: Row) -> list[float] | str:
    """What custodes says, truncating at the end, or why it refuses."""
    signals = {name: torch.tensor(values, dtype=torch.float64) for name, values in row.trace.items()}
    try:
        values: list[float] = evaluate(parse(row.ours), signals).value.tolist()
    except StlError as error:
        return str(error)
    return values


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table.

    Returns:
        0.
    """
    line = argparse.ArgumentParser(prog="python -m benchmarks.stl_differences", description=__doc__)
    line.add_argument("--json", action="store_true", help="print one JSON array")
    options = line.parse_args(arguments)
    rows = [asdict(row) | {"peer_says": theirs(row), "custodes_says": ours(row)} for row in ROWS]
    if options.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        print(f"{row['what']} ({row['peer']}): {row['theirs']}  on {row['trace']}")
        print(f"  {row['peer']:8} {said(row['peer_says'])}")
        print(f"  custodes {said(row['custodes_says'])}")
    return 0


def said(answer: list[float] | str) -> str:
    """Short."""
    return answer if isinstance(answer, str) else " ".join(f"{value:g}" for value in answer)


if __name__ == "__main__":
    sys.exit(main())
