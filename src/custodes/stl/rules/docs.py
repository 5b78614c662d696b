"""The page about the shipped rules, made from their file: `python -m custodes.stl.rules.docs > docs/stl-rules.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from custodes.stl.analysis import signals
from custodes.stl.explain import per_sample
from custodes.stl.rules.library import load_library
from custodes.stl.rules.reach import seconds_ahead
from custodes.stl.specfile import Spec, SpecFile

_HEAD: Final = """# Rules for defenders

{count} rules that custodes ships, made from `src/custodes/stl/rules/defenders.toml` by
`python -m custodes.stl.rules.docs`.

```
custodes stl check default                                        # all of them
custodes stl monitor library:containment-time trace.csv           # one of them
custodes stl monitor default trace.csv --spec cpu-bound --spec memory-bound
```

To change a limit, copy the file and give the copy in place of `default`. The sampling period is that of the data (or
`period = "1s"` in the copy); every window has to be a multiple of it. In Python: `custodes.stl.rules.load_library()`.

Every rule is an `always` over what it asks of each sample. That part looks ahead for a minute at most: a monitor
decides on every sample after the delay in the table, in memory that does not grow; a delay of 0 s is decided at the
sample itself. The tags mean: **label** reads the true label, so that it trains and scores but does not run live;
**hard** can be enforced by a shield, as it looks at the past only. A condition on a count is written as a bare name
(`blocked`, short for `blocked > 0.5`): `blocked >= 1` has robustness 0 at 1, and so would its negation.
"""


def page() -> str:
    """The page, in Markdown."""
    library = load_library()
    lines = [_HEAD.format(count=len(library.specs)), "## Rules", ""]
    lines += ["| Rule | Formula | Severity | Tags | Delay |", "|---|---|---|---|---|"]
    lines += [_row(spec) for spec in library.specs]
    lines += ["", "## What each is for", ""]
    for spec in library.specs:
        what, why = spec.description.split(" Why: ")
        lines += [f"**{spec.name}** (reads {', '.join(f'`{name}`' for name in signals(spec.formula))}). {what}", ""]
        lines += [f"*Why:* {why[0].upper()}{why[1:]}", ""]
    lines += ["## Limits", "", "| Parameter | Value |", "|---|---|"]
    lines += [f"| `{name}` | {_limit(value)} |" for name, value in library.parameters.items()]
    lines += ["", "## Signals", "", *_signals(library), ""]
    return "\n".join(lines)


def _row(spec: Spec) -> str:
    delay = seconds_ahead(per_sample(spec.formula))
    shown = "unbounded" if delay is None else f"{delay:g} s"
    return f"| {spec.name} | `{spec.text}` | {spec.severity} | {', '.join(spec.tags)} | {shown} |"


def _limit(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _signals(library: SpecFile) -> Iterator[str]:
    yield 'One value per sample; "since the last sample" counts what happened in between.'
    yield ""
    yield "| Signal | Unit | Meaning | Read by |"
    yield "|---|---|---|---|"
    for name, info in library.signals.items():
        readers = [spec.name for spec in library.specs if name in signals(spec.formula)]
        yield f"| `{name}` | {info.unit} | {info.description} | {', '.join(readers)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
