"""Which place in the agents' memory each process has, and when it begins anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, final

from custodes.data.features.online.memory import Key
from custodes.env.lanes import PROCESS_ENDS, LaneMode

SCRATCH: Final = 0
"""A place that belongs to nobody: what pads a step writes there."""


@final
class Lives:
    """Gives each lane (`env.lanes`) a place, and takes it back.

    A lane is played here as it is in evaluation: from zero at its first event, after a recorded end of the process
    (by_entity), and every `window` events.

    Args:
        mode: How events are grouped into lanes.
        window: Events after which a lane begins anew; 0 for never.
    """

    def __init__(self, mode: LaneMode, window: int) -> None:
        self._mode, self._window = mode, window
        self._lives: dict[Key, list[int]] = {}
        self._free: list[int] = []
        self.places = SCRATCH + 1
        """Places given out so far, the scratch place included."""

    def __len__(self) -> int:
        return len(self._lives)

    def enter(self, event: Mapping[str, Any]) -> tuple[int, bool]:
        """The place of an event's lane, and whether the lane begins with it."""
        if self._mode == "rows":
            return SCRATCH, True
        key = (event["stream"], event["entity"] if self._mode == "by_entity" else "")
        life = self._lives.get(key)
        if life is None:
            life = self._lives[key] = [self._place(), 0]
        place, age = life
        life[1] = age + 1
        if (self._window and life[1] == self._window) or (self._mode == "by_entity" and _ends(event["kind"])):
            life[1] = 0
        return place, age == 0

    def leave(self, key: Key) -> None:
        """Take the place of a process that was forgotten; another may have it from now on."""
        life = self._lives.pop(key, None) if self._mode == "by_entity" else None
        if life is not None:
            self._free.append(life[0])

    def leave_stream(self, stream: str) -> None:
        """Take the place of a stream that was forgotten."""
        life = self._lives.pop((stream, ""), None) if self._mode == "by_stream" else None
        if life is not None:
            self._free.append(life[0])

    def state(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "lives": [[*key, *life] for key, life in self._lives.items()],
            "free": list(self._free),
            "places": self.places,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._lives = {(str(s), str(e)): [int(place), int(age)] for s, e, place, age in state["lives"]}
        self._free = [int(place) for place in state["free"]]
        self.places = int(state["places"])
        used = [life[0] for life in self._lives.values()] + self._free
        if sorted(used) != list(range(SCRATCH + 1, self.places)):
            raise ValueError("two processes share a place")

    def _place(self) -> int:
        if self._free:
            return self._free.pop()
        self.places += 1
        return self.places - 1


def _ends(kind: str) -> bool:
    return kind.lower().removeprefix("event_") in PROCESS_ENDS
