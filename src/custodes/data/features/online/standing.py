"""Groups that read names and what training said of them, event by event: `names`, `reputation`, `standing`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, final

import numpy as np
from numpy.typing import NDArray

from custodes.data.features.blocks import Vocabulary
from custodes.data.features.names import MOST_NAMES
from custodes.data.features.online.group import Event, OnlineGroup, new_in, spread
from custodes.data.features.online.memory import Process, Recent, Stream
from custodes.data.features.online.past import Find, ancestors
from custodes.data.features.reputation import PRIOR

BETWEEN: Final = "\x1f"
_COLUMNS: Final = ("image", "parent_image", "lineage")


@final
class Names(OnlineGroup):
    """See `names.NAMES`."""

    def __init__(self, vocabulary: Vocabulary, pairs: Recent[Any, list[None]]) -> None:
        self._pairs = pairs
        self._rows_of = [_table(vocabulary[name], vocabulary[f"{name}:rows"]) for name in _COLUMNS]
        self._words = [vocabulary[name][:MOST_NAMES] for name in _COLUMNS[:2]]
        self._place = [{word: index for index, word in enumerate(words)} for words in self._words]
        names = [f"names:{name}:rows" for name in _COLUMNS] + ["names:lineage:new"]
        for name, words in zip(_COLUMNS[:2], self._words, strict=True):
            names += [*(f"{name}={word}" for word in words), f"{name}:other"]
        self.names = tuple(names)
        self._rows: list[tuple[float, float, float, bool]] = []
        self._codes: list[list[int]] = [[], []]

    def take(self, event: Event, clock: int, stream: Stream, process: Process) -> None:
        """See `OnlineGroup.take`."""
        image, above = event["image"], event["parent_image"]
        texts = (image, above, f"{above}{BETWEEN}{image}")
        rows = [table.get(text, 0.0) for table, text in zip(self._rows_of, texts, strict=True)]
        new = new_in(self._pairs, (event["stream"], above, image))
        self._rows.append((*rows, new))  # type: ignore[arg-type]
        for codes, place, text in zip(self._codes, self._place, texts[:2], strict=True):
            codes.append(place.get(text, len(place)))

    def values(self) -> NDArray[np.float32]:
        """See `OnlineGroup.values`."""
        rows, self._rows = np.array(self._rows, dtype=np.float64).reshape(-1, 4).T, []
        codes, self._codes = self._codes, [[], []]
        made = rows.astype(np.float32)
        made[:3] = np.log1p(rows[:3])
        chosen = [spread(code, len(words) + 1) for code, words in zip(codes, self._words, strict=True)]
        return np.concatenate([made, *chosen])


@final
class Reputation(OnlineGroup):
    """See `reputation.REPUTATION` and `reputation.STANDING`."""

    def __init__(self, what: Literal["object", "image"], vocabulary: Vocabulary, find: Find) -> None:
        self._what, self._find = what, find
        self._index = 0 if what == "object" else 1
        self._malicious = _table(vocabulary["key"], vocabulary["malicious"])
        self._processes = _table(vocabulary["key"], vocabulary["processes"])
        self._own = _table(vocabulary["pair"], vocabulary["pair:malicious"])
        first = ("reputation:object", "reputation:process") if what == "object" else ("standing:image",)
        self.names = (*first, "reputation:lineage" if what == "object" else "standing:lineage")
        self._rows: list[list[float]] = []

    def take(self, event: Event, clock: int, stream: Stream, process: Process) -> None:
        """See `OnlineGroup.take`."""
        share = self._share(event)
        worst = max(process.worst[self._index], share)
        process.worst[self._index] = worst
        inherited = worst
        for above in ancestors(process, self._find):
            if above is not None:
                inherited = max(inherited, above.worst[self._index])
        self._rows.append([share, worst, inherited] if self._what == "object" else [share, inherited])

    def values(self) -> NDArray[np.float32]:
        """See `OnlineGroup.values`."""
        rows, self._rows = np.array(self._rows, dtype=np.float64).reshape(-1, len(self.names)).T, []
        return rows.astype(np.float32)

    def _share(self, event: Event) -> float:
        """Of what the event touches, without what its own process told training."""
        key = self._key(event)
        if key is None:
            return 0.0
        pair = f"{event['entity']}{BETWEEN}{key}"
        own = pair in self._own
        malicious, processes = self._malicious.get(key, 0.0), self._processes.get(key, 0.0)
        return (malicious - self._own.get(pair, 0.0)) / (processes - own + PRIOR)

    def _key(self, event: Event) -> str | None:
        """What is judged, None where it counts for nothing."""
        if event["entity"] == "":
            return None
        if self._what == "image":
            return event["image"] or None
        program = event["object_kind"] == "process" or event.get("ext_program", 0) != 0
        return None if program else event["object"] or None


def _table(words: Sequence[str | float], values: Sequence[str | float]) -> dict[str, float]:
    return {str(word): float(value) for word, value in zip(words, values, strict=True)}
