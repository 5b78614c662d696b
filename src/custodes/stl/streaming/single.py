"""One stream of plain floats, for those who watch a single host: the network written out as Python and compiled."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn, TypeAlias, final

import numpy as np

from custodes.stl import formula as f
from custodes.stl.errors import StlError
from custodes.stl.policy import End, Nan
from custodes.stl.streaming.anchors import settles
from custodes.stl.streaming.fleet import Monitor
from custodes.stl.streaming.network import INF, Plan
from custodes.stl.streaming.plan import compile_formula
from custodes.stl.streaming.pointwise import calculate
from custodes.stl.streaming.source import Writer
from custodes.stl.streaming.source_anchor import write_anchor
from custodes.stl.streaming.verdict import Ending

Snapshot: TypeAlias = tuple[int, list[int], list[list[Any]], list[list[float]]]
"""A monitor's memory: numbers and lists of numbers, which JSON holds. Nobody changes one after it was made."""


class Point(NamedTuple):
    """What is known after a sample of one stream; the words are those of `Verdict`."""

    time: int
    """Sample that lower and upper are for; below 0 before there is one."""
    lower: float
    """Lower bound of the robustness there; -inf before there is a time."""
    upper: float
    """Upper bound."""
    first_lower: float
    """Lower bound of the robustness at the first sample: of the whole trace; never falls."""
    first_upper: float
    """Upper bound of the same; never rises."""

    @property
    def determined(self) -> bool:
        """Whether the verdict on the whole trace is certain."""
        return self.first_lower >= 0 or self.first_upper < 0


@final
class SingleMonitor:
    """Watches one stream; gives what `Monitor` gives for it, at a tenth of the cost.

    States are those of a `Monitor` with one stream and can be exchanged with it.

    Args:
        formula: Bounds in samples.
        nan: reject raises at a NaN; mask takes it for an unknown number.

    Raises:
        StlError: The formula has bounds in units of time or aggregates over the future.
    """

    def __init__(self, formula: f.Formula, *, nan: Nan = "reject") -> None:
        # the fleet checks the arguments, and carries the state when it is saved, restored or asked for what may follow
        self._fleet = Monitor(formula, streams=1, nan=nan)
        plan = compile_formula(formula)
        self.formula, self.nan, self.delay, self.signals = formula, nan, plan.root.delay, plan.signals
        self.reach = plan.reach
        """So many samples `finish` may feed: what it costs."""
        self._mask = nan == "mask"
        code, names = _source(plan, 2 if plan.pairs or self._mask else 1)
        space = names | {"refuse": self._refuse, "missing": self._missing}
        # our own source, made of numbers and identifiers from the tree: no text of a user is in it (see source.py)
        exec(compile(code, "<monitor>", "exec"), space)
        parts: tuple[Callable[[Mapping[str, float]], Point], Callable[[], Any], Callable[..., None]] = space["build"]()
        self._step, self._save, self._load = parts

    def update(self, sample: Mapping[str, float] | tuple[float, ...] = (), /, **signals: float) -> Point:
        """Take one sample.

        Args:
            sample: Signal to number, or numbers in the order of `signals`.
            **signals: The same by keyword.

        Raises:
            StlError: A signal is missing, or not a finite number. The monitor is then as it was before.
        """
        if signals:
            return self._step(signals)
        if type(sample) is tuple:
            if len(sample) != len(self.signals):
                raise StlError(f"a sample has {len(sample)} numbers, not {len(self.signals)}", fix="see `signals`")
            return self._step(dict(zip(self.signals, sample, strict=True)))
        return self._step(sample)  # type: ignore[arg-type]

    def _missing(self, name: str) -> NoReturn:
        raise StlError("the sample lacks this signal", where=f"signal {name!r}", fix="give a number") from None

    def _refuse(self, name: str, value: object, age: int) -> float:
        """A number that is not a plain finite float: converted, unknown (NaN) or refused."""
        where = f"signal {name!r}, sample {age + 1}"
        if isinstance(value, str | bytes):
            raise StlError(f"{value!r} is no number", where=where, fix="give a float")
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            raise StlError(f"{type(value).__name__} is no number", where=where, fix="give a float") from None
        if math.isinf(number) or (math.isnan(number) and not self._mask):
            fix = "give a finite number" if math.isinf(number) else "give a number, or monitor with nan='mask'"
            raise StlError(f"{number} is no number that can be judged", where=where, fix=fix)
        return number

    def interval(self) -> tuple[float, float]:
        """See `Monitor.interval`."""
        low, high = self._synced().interval()
        return float(low[0]), float(high[0])

    def finish(self, end: End) -> Ending:
        """See `Monitor.finish`."""
        return self._synced().finish(end)

    def snapshot(self) -> Snapshot:
        """The memory as it is now, to `resume` from: a hundredth of the price of `state`, and only for this process."""
        age, positions, memory, last = self._save()
        return age, list(positions), [[_copied(lane) for lane in lanes] for lanes in memory], list(map(list, last))

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of this monitor, or of another one of the same formula and NaN policy.

        One monitor can so watch many streams in turn, or try a sample and take it back.
        """
        self._load(*snapshot)

    def reset(self) -> None:
        """Start anew."""
        self.restore(Monitor(self.formula, streams=1, nan=self.nan).state())

    def state(self) -> dict[str, Any]:
        """See `Monitor.state`."""
        return self._synced().state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Monitor.restore`."""
        self._fleet.restore(state)
        memory = [array[..., 0].T.tolist() for array in state["memory"]]
        self._load(int(state["age"][0]), state["positions"], memory, [row[:, 0].tolist() for row in state["last"]])

    def dumps(self) -> bytes:
        """See `Monitor.dumps`."""
        return self._synced().dumps()

    def loads(self, data: bytes) -> None:
        """See `Monitor.loads`."""
        self._fleet.loads(data)
        self.restore(self._fleet.state())

    def _synced(self) -> Monitor:
        """The fleet of one with this monitor's memory."""
        age, positions, memory, last = self._save()
        state = self._fleet.state()
        arrays = [np.array(lanes, dtype=np.float64).T[..., None].copy() for lanes in memory]
        rows = [np.array(lanes, dtype=np.float64)[:, None] for lanes in last]
        state |= {"age": np.array([age]), "positions": positions, "memory": arrays, "last": rows}
        self._fleet.restore(state)
        return self._fleet


def _copied(lane: float | list[float]) -> float | list[float]:
    return list(lane) if isinstance(lane, list) else lane


def _source(plan: Plan, lanes: int) -> tuple[str, dict[str, Any]]:
    """The code that makes update, save and load, and the objects that it needs."""
    writer = Writer(plan, lanes)
    anchor: list[str] = []
    low, high, _ = write_anchor(writer, plan.anchor, anchor)
    final_at = settles(plan.anchor)
    inputs = [slot for slot, step in enumerate(plan.steps) if step.kind == "signal"]
    slots = {plan.steps[slot].name: slot for slot in inputs}
    ordered = [slots[name] for name in plan.signals]
    places = [name for name in writer.positions if name]
    floats = [name + lane for name, size, _ in writer.memory if not size for lane in writer.lanes]
    lists = [(name + lane, size, fill) for name, size, fill in writer.memory if size for lane in writer.lanes]
    orders = [f"{name}{lane}" for name in writer.ranks for lane in writer.lanes]
    values = [f"v{slot}{lane}" for slot in ordered for lane in writer.lanes]

    top = ["age = -1", "first_low = (-inf)", "first_high = inf"]
    top += [f"{name} = 0" for name in places] + [f"{name} = 0.0" for name in values]
    fills = {name: fill for name, size, fill in writer.memory if not size}
    top += [f"{name}{lane} = {_number(fill)}" for name, fill in fills.items() for lane in writer.lanes]
    top += [f"{name} = [{_number(fill)}] * {size}" for name, size, fill in lists]
    top += [f"{name}_order = sorted({name})" for name in orders]
    every = ", ".join(["age", "first_low", "first_high", *places, *floats, *values])

    body = [f"nonlocal {every}", *_inputs(ordered, lanes)]
    body += ["age += 1", *writer.lines]
    body += anchor if final_at is None else [f"if age <= {final_at + 1}:", *(f" {line}" for line in anchor)]
    indent = "" if final_at is None else " "
    body += [f"{indent}first_low = {low}", f"{indent}first_high = {high}"]
    ends = ", ".join(writer.read(plan.root.slot, lane) for lane in (writer.lanes[0], writer.lanes[-1]))
    delay = plan.root.delay
    if delay:
        body.append(f"if age < {delay}: return new(Point, (age - {delay}, (-inf), inf, first_low, first_high))")
    body.append(f"return new(Point, (age - {delay}, {ends}, first_low, first_high))")

    save = ["return age, positions(), memory(), last()"]
    load = _load_lines(writer, ordered, every, orders)
    if final_at is not None:
        # update looks at the anchor no more then; its conditions on the age keep these lines from folding anything
        load += [f"if age > {final_at}:", *(f" {line}" for line in anchor)]
        load += [f" first_low = {low}", f" first_high = {high}"]
    code = ["def build():", *(f" {line}" for line in top)]
    for head, lines in (
        ("update(sample)", body),
        ("positions()", [f"return [{', '.join(name or '0' for name in writer.positions)}]"]),
        ("memory()", [f"return [{', '.join(_lanes(name, writer.lanes) for name, _, _ in writer.memory)}]"]),
        ("last()", [f"return [{', '.join(_lanes(f'v{slot}', writer.lanes) for slot in ordered)}]"]),
        ("save()", save),
        ("load(at, where, what, seen)", load),
    ):
        code += [f" def {head}:", *(f"  {line}" for line in lines)]
    code += [" return update, save, load"]
    space = {f"k{slot}": plan.steps[slot].name for slot in ordered}
    return "\n".join(code) + "\n", space | NAMESPACE


def _number(fill: float) -> str:
    return "inf" if fill == INF else "(-inf)" if fill == -INF else repr(fill)


def _lanes(name: str, lanes: tuple[str, ...]) -> str:
    return f"[{', '.join(name + lane for lane in lanes)}]"


def _inputs(ordered: list[int], lanes: int) -> list[str]:
    """Read and check every signal before anything changes; a NaN that gets through is unknown."""
    lines: list[str] = []
    for slot in ordered:
        lines += [
            f"try: x{slot} = sample[k{slot}]",
            f"except (KeyError, TypeError, IndexError): missing(k{slot})",
            f"if type(x{slot}) is not float or not (-inf) < x{slot} < inf: x{slot} = refuse(k{slot}, x{slot}, age)",
        ]
    for slot in ordered:
        if lanes == 1:
            lines.append(f"v{slot} = x{slot}")
        else:
            lines += [f"v{slot}l = v{slot}u = x{slot}", f"if x{slot} != x{slot}: v{slot}l = (-inf); v{slot}u = inf"]
    return lines


def _load_lines(writer: Writer, ordered: list[int], every: str, orders: list[str]) -> list[str]:
    lines = [f"nonlocal {every}", "age = at"]
    lines += [f"{name} = where[{index}]" for index, name in enumerate(writer.positions) if name]
    for index, (name, size, _) in enumerate(writer.memory):
        for number, lane in enumerate(writer.lanes):
            lines.append(f"{name}{lane}{'[:]' if size else ''} = what[{index}][{number}]")
    for index, slot in enumerate(ordered):
        lines += [f"v{slot}{lane} = seen[{index}][{number}]" for number, lane in enumerate(writer.lanes)]
    lines += [f"{name}_order[:] = sorted({name})" for name in orders]
    return lines


def _plus(a: float, b: float, c: float, d: float) -> list[float]:
    return _calculate("+", a, b, c, d)


def _calculate(operator: str, a: float, b: float, c: float, d: float) -> list[float]:
    with np.errstate(all="ignore"):
        result: list[float] = calculate(operator, np.array([[a], [b]]), np.array([[c], [d]]))[:, 0].tolist()
    return result


def _size(low: float, high: float) -> tuple[float, float]:
    one, other = abs(low), abs(high)
    return (0.0 if low <= 0 <= high else min(one, other)), max(one, other)


NAMESPACE: dict[str, Any] = {
    "__builtins__": {"abs": abs, "range": range, "sorted": sorted, "KeyError": KeyError, "TypeError": TypeError,
                     "IndexError": IndexError, "type": type, "float": float},
    "inf": INF, "new": tuple.__new__, "Point": Point, "place": bisect_left, "insert": insort, "size": _size,
    "plus": _plus,
    "minus": lambda a, b, c, d: _calculate("-", a, b, c, d),
    "times": lambda a, b, c, d: _calculate("*", a, b, c, d),
    "over": lambda a, b, c, d: _calculate("/", a, b, c, d),
}  # fmt: skip
