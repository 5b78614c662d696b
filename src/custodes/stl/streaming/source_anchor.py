"""The anchors of a plan, written out after its steps: bounds of the value at the first sample."""

from __future__ import annotations

from custodes.stl.streaming.network import INF, NEUTRAL, Anchor, Clamp, Fold, Join, Known, Meet
from custodes.stl.streaming.source import BELOW, Writer, literal, opposite


def write_anchor(writer: Writer, anchor: Anchor, lines: list[str], number: int = 0) -> tuple[str, str, int]:
    """Add the lines that follow an anchor.

    Args:
        writer: Knows the slots and the memory.
        anchor: What to follow.
        lines: Grows.
        number: How many anchors were written before.

    Returns:
        Names of the lower and the upper bound, and how many anchors are written now.
    """
    match anchor:
        case Join(left=left, right=right) | Meet(left=left, right=right):
            one_low, one_high, number = write_anchor(writer, left, lines, number)
            low, high, number = write_anchor(writer, right, lines, number)
            lower, upper = (anchor.which, anchor.which) if isinstance(anchor, Join) else ("max", "min")
            lines.append(f"a{number}l = {one_low} if {one_low} {BELOW[lower]} {low} else {low}")
            lines.append(f"a{number}u = {one_high} if {one_high} {BELOW[upper]} {high} else {high}")
        case Known():
            _known(writer, anchor, lines, number)
        case Fold():
            _fold(writer, anchor, lines, number)
        case Clamp():
            _clamp(writer, anchor, lines, number)
    return f"a{number}l", f"a{number}u", number + 1


def _keep(writer: Writer, number: int, name: str, fill: float) -> str:
    writer.memory.append((f"t{number}_{name}", 0, fill))
    return f"t{number}_{name}"


def _known(writer: Writer, anchor: Known, lines: list[str], number: int) -> None:
    low, high = _keep(writer, number, "lower", -INF), _keep(writer, number, "upper", INF)
    lines.append(f"if age == {anchor.value.delay}:")
    for lane in writer.lanes:
        value = writer.read(anchor.value.slot, lane)
        lines += [f" {low}{lane} = {value}", f" {high}{lane} = {value}"]
    lines += [f"a{number}l = {low}{writer.lanes[0]}", f"a{number}u = {high}{writer.lanes[-1]}"]


def _fold(writer: Writer, anchor: Fold, lines: list[str], number: int) -> None:
    held, delay = _keep(writer, number, "held", NEUTRAL[anchor.which]), anchor.value.delay
    dull = _keep(writer, number, "dull", 0.0)
    end = "" if anchor.last is None else f" <= {delay + anchor.last}"
    if anchor.inner >= 0:
        low, high = (writer.read(anchor.inner, lane) for lane in "lu")
        lines += [
            f"if {writer.read(slot, 'l')} != {writer.read(slot, 'u')}: {dull}l = {dull}u = 1.0"
            for slot in anchor.numbers
        ]
        lines += [
            f"if {dull}l == 0.0:",
            f" a = {held}l; b = {held}u",
            f" {held}l = a if a > {low} else b if b < {low} else {low}",
            f" {held}u = a if a > {high} else b if b < {high} else {high}",
        ]
    lines.append(f"if {delay + anchor.first} <= age{end}:")
    for lane in writer.lanes:
        value = writer.read(anchor.value.slot, lane)
        lines.append(f" if {value} {BELOW[anchor.which]} {held}{lane}: {held}{lane} = {value}")
    low, high = held + writer.lanes[0], held + writer.lanes[-1]
    over = "False" if anchor.last is None else f"age >= {delay + anchor.last}"
    lines.append(f"a{number}l = {f'{low} if {over} else (-inf)' if anchor.which == 'min' else low}")
    lines.append(f"a{number}u = {high if anchor.which == 'min' else f'{high} if {over} else inf'}")


def _clamp(writer: Writer, anchor: Clamp, lines: list[str], number: int) -> None:
    fill, delay = NEUTRAL[anchor.most], anchor.guard.delay
    held, won = _keep(writer, number, "guard", -fill), _keep(writer, number, "goal", fill)
    most, least = BELOW[anchor.most], BELOW[opposite(anchor.most)]
    end = "" if anchor.last is None else f" <= {delay + anchor.last}"
    over = "False" if anchor.last is None else f"age >= {delay + anchor.last}"
    lines.append(f"if {delay} <= age{end}:")
    for lane in writer.lanes:
        guard, goal = writer.read(anchor.guard.slot, lane), writer.read(anchor.goal.slot, lane)
        p, q = held + lane, won + lane
        lines += [
            f" a = {goal} if age >= {delay + anchor.first} else {literal(fill)}",
            f" if {p} {least} a: a = {p}",
            f" if a {most} {q}: {q} = a",
            f" if {guard} {least} {p}: {p} = {guard}",
        ]
    for lane, side in zip((writer.lanes[0], writer.lanes[-1]), "lu", strict=True):
        near, far = won + lane, f"({won}{lane} if {won}{lane} {most} {held}{lane} else {held}{lane})"
        first = (anchor.most == "max") == (side == "l")
        lines.append(f"a{number}{side} = {far if anchor.weak else near} if {over} else {near if first else far}")
