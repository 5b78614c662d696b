"""Defects that can be put into a training, to see whether the doctor finds them: `custodes train --inject NAME`.

Nothing else imports this package (a test holds it), so that no run has a fault that was not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from custodes.doctor.faults import inputs, rewards, rules, steps, team, update
from custodes.doctor.faults.fault import Fault
from custodes.errors import CustodesError
from custodes.rl.mechanics import Mechanics
from custodes.team.seams import Seams

__all__ = ["FAULTS", "Fault", "fault_of", "together"]

FAULTS: Final[Mapping[str, Fault]] = {
    fault.name: fault for module in (update, steps, rewards, inputs, team, rules) for fault in module.FAULTS
}
"""By name."""


def fault_of(name: str) -> Fault:
    """A fault, or several with commas between their names.

    Raises:
        CustodesError: There is none of that name, or two that change the same part.
    """
    unknown = [part for part in name.split(",") if part not in FAULTS]
    if unknown:
        raise CustodesError(
            f"unknown fault {', '.join(unknown)}", where="--inject", fix=f"known: {', '.join(sorted(FAULTS))}"
        )
    chosen = [FAULTS[part] for part in name.split(",")]
    return chosen[0] if len(chosen) == 1 else together(chosen)


def together(faults: Sequence[Fault]) -> Fault:
    """Several faults in one run.

    Raises:
        CustodesError: Two of them put something in the same place of an iteration.
    """
    return Fault(
        name=",".join(fault.name for fault in faults),
        finds=",".join(fault.finds for fault in faults),
        what="; ".join(fault.what for fault in faults),
        settings=tuple(setting for fault in faults for setting in fault.settings),
        seams=lambda: _joined([fault.seams() for fault in faults]),
    )


def _joined(seams: Sequence[Seams]) -> Seams:
    def chain(name: str) -> Callable[[Any], Any]:
        def through(value: Any) -> Any:
            for one in seams:
                value = getattr(one, name)(value)
            return value

        return through

    def all_of(name: str) -> Callable[[Any], None]:
        def each(value: Any) -> None:
            for one in seams:
                getattr(one, name)(value)

        return each

    usual, parts = Mechanics(), dict[str, Any]()
    for one in seams:
        for field in fields(Mechanics):
            part = getattr(one.mechanics, field.name)
            if part is getattr(usual, field.name):
                continue
            if field.name in parts:
                raise CustodesError(
                    f"two of them change {field.name}", where="--inject", fix="put them in one at a time"
                )
            parts[field.name] = part
    return Seams(
        workload=chain("workload"),
        env=chain("env"),
        rules=chain("rules"),
        trained=chain("trained"),
        teacher=chain("teacher"),
        learner=all_of("learner"),
        before=all_of("before"),
        mechanics=Mechanics(**parts),
    )
