"""How each temporal operator is made of steps: windows, delays, clamps, and the fill at both ends of the trace."""

from __future__ import annotations

from typing import Final, final

from custodes.stl import formula as f
from custodes.stl.streaming.network import NEUTRAL, Extremum, Step, Value, dual

ONE: Final = f.Bounds(lower=f.Duration(amount=1), upper=f.Duration(amount=1))


@final
class Operators:
    """Grows the list of steps; equal steps are shared."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._slots: dict[Step, int] = {}

    def add(self, step: Step) -> int:
        """The slot of a step, which may be there already."""
        if step not in self._slots:
            self._slots[step] = len(self.steps)
            self.steps.append(step)
        return self._slots[step]

    def late(self, value: Value, delay: int, *, fill: float = 0.0, past: bool = False) -> Value:
        """The same value, later; what fills the start does not matter where it is only brought in line."""
        if delay == value.delay:
            return value
        step = Step(kind="delay", args=(value.slot,), size=delay - value.delay, value=fill, past=past)
        return Value(slot=self.add(step), delay=delay)

    def binary(self, which: Extremum, left: Value, right: Value) -> Value:
        """Smaller or larger of two values of one time."""
        delay = max(left.delay, right.delay)
        args = self.late(left, delay).slot, self.late(right, delay).slot
        return Value(slot=self.add(Step(kind="both", args=args, which=which)), delay=delay)

    def window(self, value: Value, size: int, which: Extremum, *, past: bool) -> Value:
        """Extremum of the last `size` emissions."""
        if size == 1:
            return value
        return Value(
            slot=self.add(Step(kind="window", args=(value.slot,), which=which, size=size, past=past)), delay=value.delay
        )

    def edge(self, value: Value, fill: float) -> Value:
        """What an operator that looks ahead reads: `fill` beyond the end of a trace that is cut there."""
        return Value(
            slot=self.add(Step(kind="edge", args=(value.slot,), size=value.delay, value=fill)), delay=value.delay
        )

    def guard(self, value: Value, fill: float) -> Value:
        """What an operator that looks behind reads: `fill` before the first sample."""
        if value.delay == 0:
            return value
        return Value(
            slot=self.add(Step(kind="guard", args=(value.slot,), size=value.delay, value=fill)), delay=value.delay
        )

    def ahead(self, which: Extremum, value: Value, bounds: f.Bounds) -> Value:
        """Extremum over a window ahead."""
        seen = self.edge(value, NEUTRAL[which])
        if bounds.upper is None:
            slot = self.add(Step(kind="open", args=(seen.slot,), which=which))
            return Value(slot=slot, delay=value.delay + bounds.lower.amount)
        result = self.window(seen, bounds.upper.amount - bounds.lower.amount + 1, which, past=False)
        return Value(slot=result.slot, delay=value.delay + bounds.upper.amount)

    def until(self, left: Value, right: Value, bounds: f.Bounds, *, weak: bool, flipped: bool) -> Value:
        """Left U[a,b] right = G[0,a-1] left and, a later, left U[0,b-a] right; W adds or G[0,b] left."""
        least, most = dual("min", flipped), dual("max", flipped)
        guard, goal = self.edge(left, NEUTRAL[least]), self.edge(right, NEUTRAL[most])
        first, last = bounds.lower.amount, None if bounds.upper is None else bounds.upper.amount
        result = self._from_now(guard, goal, None if last is None else last - first, most, weak)
        result = Value(slot=result.slot, delay=result.delay + first)
        if first > 0:
            before = self.window(guard, first, least, past=False)
            result = self.binary(least, Value(slot=before.slot, delay=before.delay + first - 1), result)
        if not weak or last is None:
            return result
        whole = self.window(guard, last + 1, least, past=False)
        return self.binary(most, result, Value(slot=whole.slot, delay=guard.delay + last))

    def _from_now(self, guard: Value, goal: Value, last: int | None, most: Extremum, weak: bool) -> Value:
        """until[0, last]: a window over clamps z -> max(goal, min(guard, z)), innermost last."""
        if last == 0:
            return goal
        if last is None:
            delay = max(guard.delay, goal.delay)
            args = self.late(guard, delay).slot, self.late(goal, delay).slot
            # until and weak until obey the same recursion and differ at infinity only
            return Value(slot=self.add(Step(kind="open_until", args=args, which=most, weak=weak)), delay=delay)
        least = dual(most, True)
        if guard.delay <= goal.delay:
            args = self.late(guard, goal.delay).slot, goal.slot
            slot = self.add(Step(kind="until", args=args, which=most, size=last + 1))
            return Value(slot=slot, delay=goal.delay + last)
        # The guard at the window's last sample plays no part, so that a guard that is later than the goal is read one
        # sample behind it: right or, from the next sample on, a window over z -> min(guard before, max(goal, z)).
        before = Value(slot=guard.slot, delay=guard.delay - 1)
        held = self.binary(least, before, goal)
        slot = self.add(Step(kind="until", args=(before.slot, held.slot), which=most, size=last))
        return self.binary(most, goal, Value(slot=slot, delay=before.delay + last))

    def behind(self, which: Extremum, value: Value, bounds: f.Bounds) -> Value:
        """Extremum over a window behind, cut at the first sample."""
        seen = self.guard(value, NEUTRAL[which])
        if bounds.upper is None:
            seen = Value(slot=self.add(Step(kind="running", args=(seen.slot,), which=which)), delay=seen.delay)
        else:
            seen = self.window(seen, bounds.upper.amount - bounds.lower.amount + 1, which, past=True)
        return self.earlier(seen, bounds.lower.amount, NEUTRAL[which])

    def earlier(self, value: Value, shift: int, fill: float) -> Value:
        """The value `shift` samples before: less late if it is late, else remembered."""
        if value.delay >= shift:
            return Value(slot=value.slot, delay=value.delay - shift)
        missing = shift - value.delay
        return Value(slot=self.late(Value(slot=value.slot, delay=0), missing, fill=fill, past=True).slot, delay=0)

    def since(self, left: Value, right: Value, bounds: f.Bounds, *, flipped: bool) -> Value:
        """Left S[a,b] right = H[0,a-1] left and, a before, (O[0,b-a] right and left S right)."""
        least, most = dual("min", flipped), dual("max", flipped)
        first, last = bounds.lower.amount, None if bounds.upper is None else bounds.upper.amount
        goal = self.guard(right, NEUTRAL[most])
        if last == 0:
            return goal
        if last == first:
            inner = goal
        else:
            delay = max(left.delay, right.delay)
            seen = self.guard(self.late(right, delay), NEUTRAL[most])
            args = self.guard(self.late(left, delay), NEUTRAL[least]).slot, seen.slot
            inner = Value(slot=self.add(Step(kind="since", args=args, which=most)), delay=delay)
            if last is not None:
                inner = self.binary(least, self.window(seen, last - first + 1, most, past=True), inner)
        inner = self.earlier(inner, first, NEUTRAL[most])
        if first == 0:
            return inner
        held = self.window(self.guard(left, NEUTRAL[least]), first, least, past=True)
        return self.binary(least, held, inner)

    def numbers(self, slot: int) -> tuple[int, ...]:
        """Every signal and computed term that a slot is made of: what may be unknown at a sample."""
        found: set[int] = set()
        below = [slot]
        while below:
            each = below.pop()
            if each not in found:
                found.add(each)
                below += self.steps[each].args
        return tuple(sorted(each for each in found if self.steps[each].kind in ("signal", "arithmetic", "sum")))

    def unsettled(self, slot: int) -> int:
        """The one value without end that a slot is made of by connectives alone; -1 when it is not made like that."""
        found = self._open_slots(slot)
        return next(iter(found)) if found is not None and len(found) == 1 else -1

    def _open_slots(self, slot: int) -> set[int] | None:
        step = self.steps[slot]
        below = [self._open_slots(arg) for arg in step.args]
        if step.kind in ("open", "open_until"):
            return {slot} if all(found == set() for found in below) else None
        if None in below:
            return None
        found = {each for part in below if part for each in part}
        return None if found and step.kind not in ("both", "edge") else found
