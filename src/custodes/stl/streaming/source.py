"""A plan written out as straight-line Python for one stream of floats.

The source holds nothing but numbers, operators and identifiers made here (v3, s3_block, ...): no text of a user ever
enters it. Signal names reach the code as objects in its namespace. The memory is the engine's, array by array, so
that both save and restore the same state and give the same floats.
"""

from __future__ import annotations

from typing import Final, final

from custodes.stl.streaming.network import INF, NEUTRAL, Plan, Step

BELOW: Final = {"min": "<", "max": ">"}
"""Comparison by which the new value wins."""
OPERATION: Final = {"+": "plus", "-": "minus", "*": "times", "/": "over"}
"""Interval arithmetic by operator, in the code's namespace."""


def literal(value: float) -> str:
    """A float in the source."""
    if value in (INF, -INF):
        return "inf" if value > 0 else "(-inf)"
    return f"({value!r})"


def opposite(which: str) -> str:
    """The dual extremum."""
    return "max" if which == "min" else "min"


@final
class Writer:
    """Lines of the update function and the memory that they use.

    Args:
        plan: What to write out.
        lanes: 1 for known values, 2 for bounds.
    """

    def __init__(self, plan: Plan, lanes: int) -> None:
        self.plan, self.lanes = plan, ("",) if lanes == 1 else ("l", "u")
        self.lines: list[str] = []
        self.memory: list[tuple[str, int, float]] = []
        """Name, length (0 for a single float) and first content, in the engine's order."""
        self.positions: list[str] = []
        """One per cell, in the engine's order; cells without a ring have an empty name."""
        self.ranks: list[str] = []
        """Rings that have a sorted twin."""
        self.names: dict[int, str] = {}
        self.loops: list[str] = []
        for slot, step in enumerate(plan.steps):
            self.names[slot] = f"v{slot}"
            if step.kind == "signal":
                continue
            self.positions.append("")
            getattr(self, f"_{step.kind}")(slot, step)

    def put(self, *lines: str) -> None:
        """Add lines."""
        self.lines += lines

    def read(self, slot: int, lane: str) -> str:
        """The expression of a slot's value."""
        name = self.names[slot]
        return name if name.startswith(("(", "inf")) else name + lane

    def keep(self, slot: int, name: str, fill: float, size: int = 0) -> str:
        """Reserve memory; the lane's letter is added to the name that is returned."""
        full = f"s{slot}_{name}"
        self.memory.append((full, size, fill))
        return full

    def other(self, lane: str) -> str:
        """The lane that a negation reads."""
        return {"": "", "l": "u", "u": "l"}[lane]

    # --- steps without memory ---

    def _number(self, slot: int, step: Step) -> None:
        self.names[slot] = literal(step.value)

    def _edge(self, slot: int, step: Step) -> None:
        self.names[slot] = self.names[step.args[0]]

    def _difference(self, slot: int, step: Step) -> None:
        for lane in self.lanes:
            self.put(f"v{slot}{lane} = {self.read(step.args[0], lane)} - {self.read(step.args[1], self.other(lane))}")

    def _negate(self, slot: int, step: Step) -> None:
        for lane in self.lanes:
            self.put(f"v{slot}{lane} = -{self.read(step.args[0], self.other(lane))}")

    def _absolute(self, slot: int, step: Step) -> None:
        if len(self.lanes) == 1:
            self.put(f"v{slot} = abs({self.read(step.args[0], '')})")
        else:
            self.put(f"v{slot}l, v{slot}u = size({self.read(step.args[0], 'l')}, {self.read(step.args[0], 'u')})")

    def _apart(self, slot: int, step: Step) -> None:
        left, right = step.args
        parts = [f"{self.read(left, lane)} - {self.read(right, self.other(lane))}" for lane in self.lanes]
        whole = f"abs({parts[0]})" if len(parts) == 1 else f"size({', '.join(parts)})"
        self.put(f"{', '.join(f'v{slot}{lane}' for lane in self.lanes)} = {whole}")

    def _arithmetic(self, slot: int, step: Step) -> None:
        parts = ", ".join(self.read(arg, lane) for arg in step.args for lane in "lu")
        self.put(f"v{slot}l, v{slot}u = {OPERATION[step.which]}({parts})")

    def _both(self, slot: int, step: Step) -> None:
        for lane in self.lanes:
            one, other = (self.read(arg, lane) for arg in step.args)
            self.put(f"v{slot}{lane} = {one} if {one} {BELOW[step.which]} {other} else {other}")

    def _divide(self, slot: int, step: Step) -> None:
        for lane in self.lanes:
            divisor = f"(age + 1 if age < {step.size} else {step.size})"
            self.put(f"v{slot}{lane} = {self.read(step.args[0], lane)} / {divisor}")

    def _guard(self, slot: int, step: Step) -> None:
        for lane in self.lanes:
            value = self.read(step.args[0], lane)
            self.put(f"v{slot}{lane} = {value} if age >= {step.size} else {literal(step.value)}")

    def _open(self, slot: int, step: Step) -> None:
        low, high = (self.read(step.args[0], lane) for lane in "lu")
        self.put(f"v{slot}l = {'(-inf)' if step.which == 'min' else low}")
        self.put(f"v{slot}u = {high if step.which == 'min' else 'inf'}")

    def _open_until(self, slot: int, step: Step) -> None:
        near, far = ("l", "u") if step.which == "max" else ("u", "l")
        guard, goal = (self.read(arg, far) for arg in step.args)
        self.put(f"v{slot}{near} = {self.read(step.args[1], near)}")
        self.put(f"v{slot}{far} = {goal} if {goal} {BELOW[step.which]} {guard} else {guard}")

    # --- steps with memory ---

    def _delay(self, slot: int, step: Step) -> None:
        ring = self.keep(slot, "ring", step.value, step.size + 1)
        self._ring(slot, step.size + 1, ring, step.args[0])
        for lane in self.lanes:
            self.put(f"v{slot}{lane} = {ring}{lane}[i{slot}]")

    def _ring(self, slot: int, size: int, ring: str, source: int) -> None:
        self.positions[-1] = f"i{slot}"
        for lane in self.lanes:
            self.put(f"{ring}{lane}[i{slot}] = {self.read(source, lane)}")
        self.put(f"i{slot} = i{slot} + 1 if i{slot} < {size - 1} else 0")

    def _rank(self, slot: int, step: Step) -> None:
        ring = self.keep(slot, "ring", NEUTRAL["max"], step.size)
        self.ranks.append(ring)
        for lane in self.lanes:
            self.put(f"del {ring}{lane}_order[place({ring}{lane}_order, {ring}{lane}[i{slot}])]")
            self.put(f"insert({ring}{lane}_order, {self.read(step.args[0], lane)})")
        self._ring(slot, step.size, ring, step.args[0])
        for lane in self.lanes:
            self.put(f"v{slot}{lane} = {ring}{lane}_order[{step.size - step.need}]")

    def _running(self, slot: int, step: Step) -> None:
        held = self.keep(slot, "held", NEUTRAL[step.which])
        for lane in self.lanes:
            value = self.read(step.args[0], lane)
            self.put(f"if {value} {BELOW[step.which]} {held}{lane}: {held}{lane} = {value}")
        self.names[slot] = held

    def _since(self, slot: int, step: Step) -> None:
        held = self.keep(slot, "held", NEUTRAL[step.which])
        for lane in self.lanes:
            guard, goal = (self.read(arg, lane) for arg in step.args)
            self.put(
                f"if {guard} {BELOW[opposite(step.which)]} {held}{lane}: {held}{lane} = {guard}",
                f"if {goal} {BELOW[step.which]} {held}{lane}: {held}{lane} = {goal}",
            )
        self.names[slot] = held

    def _sum(self, slot: int, step: Step) -> None:
        self._blocks(slot, step, "", 0.0)
        self.put(f"if not v{slot}l < inf: v{slot}l = (-inf)", f"if not v{slot}u > (-inf): v{slot}u = inf")

    def _count(self, slot: int, step: Step) -> None:
        for lane in self.lanes:
            self.put(f"c{slot}{lane} = 1.0 if {self.read(step.args[0], lane)} >= 0 else 0.0")
        self._blocks(slot, step, "", 0.0)

    def _window(self, slot: int, step: Step) -> None:
        self._blocks(slot, step, BELOW[step.which], NEUTRAL[step.which])

    def _blocks(self, slot: int, step: Step, below: str, fill: float) -> None:
        """Suffixes of the last block and a prefix of this one; an empty comparison sums."""
        self.positions[-1] = i = f"i{slot}"
        block, prefix = self.keep(slot, "block", fill, step.size), self.keep(slot, "prefix", fill)

        def fold(one: str, other: str) -> str:
            return f"({one} if {one} {below} {other} else {other})" if below else f"{one} + {other}"

        for lane in self.lanes:
            value = f"c{slot}{lane}" if step.kind == "count" else self.read(step.args[0], lane)
            p, b = prefix + lane, block + lane
            self.put(f"{p} = {fold(p, value)} if {i} else {value}", f"{b}[{i}] = {value}")
        self.put(f"{i} += 1", f"if {i} < {step.size}:")
        for lane in self.lanes:
            b = block + lane
            suffix = f"{b}[{i}]"
            if below:
                self.put(f" a = {suffix}", f" v{slot}{lane} = {fold('a', prefix + lane)}")
            else:
                self.put(f" v{slot}{lane} = {suffix} + {prefix}{lane}")
        self.put("else:", f" {i} = 0")
        for lane in self.lanes:
            b = block + lane
            self.put(f" v{slot}{lane} = a = {prefix}{lane}")
            self.put(f" a = {b}[{step.size - 1}]", f" for r in range({step.size - 2}, 0, -1):", f"  b = {b}[r]")
            self.put(f"  {b}[r] = a = {fold('b', 'a')}")

    def _until(self, slot: int, step: Step) -> None:
        self.positions[-1] = i = f"i{slot}"
        fills = [0.0] * 2
        guards, goals = (
            self.keep(slot, name, fill, step.size) for name, fill in zip(("guards", "goals"), fills, strict=True)
        )
        held, won = self.keep(slot, "guard", 0.0), self.keep(slot, "goal", 0.0)
        most, least = BELOW[step.which], BELOW[opposite(step.which)]
        for lane in self.lanes:
            guard, goal, p, q = *(self.read(arg, lane) for arg in step.args), held + lane, won + lane
            self.put(
                f"if {i}:",
                f" a = {p} if {p} {least} {goal} else {goal}",
                f" if a {most} {q}: {q} = a",
                f" if {guard} {least} {p}: {p} = {guard}",
                f"else: {p} = {guard}; {q} = {goal}",
                f"{guards}{lane}[{i}] = {guard}; {goals}{lane}[{i}] = {goal}",
            )
        self.put(f"{i} += 1", f"if {i} < {step.size}:")
        for lane in self.lanes:
            self.put(f" a = {guards}{lane}[{i}]; b = {goals}{lane}[{i}]")
            self.put(f" if {won}{lane} {least} a: a = {won}{lane}", f" v{slot}{lane} = a if a {most} b else b")
        self.put("else:", f" {i} = 0")
        for lane in self.lanes:
            p, q = guards + lane, goals + lane
            self.put(
                f" v{slot}{lane} = {won}{lane}",
                f" a = {p}[{step.size - 1}]; b = {q}[{step.size - 1}]",
                f" for r in range({step.size - 2}, 0, -1):",
                f"  c = {p}[r]; d = {q}[r]",
                f"  if c {least} b: b = c",
                f"  if d {most} b: b = d",
                f"  if c {least} a: a = c",
                f"  {p}[r] = a; {q}[r] = b",
            )
