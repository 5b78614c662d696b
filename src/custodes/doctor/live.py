"""The detectors as training goes: each new root cause is told once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from custodes.doctor.diagnose import diagnose
from custodes.doctor.facts import Facts
from custodes.doctor.finding import Finding
from custodes.doctor.signals import signals_of

OFTEN: Final = 3
"""Looks after every one of the first so many iterations."""
SPARING: Final = 1.3
"""Afterwards when there are so many times more iterations than at the last look: looking costs the same share."""


class Live:
    """Looks at a run now and then.

    Args:
        facts: What is known about the run.
        earlier: Lines of earlier iterations (a resumed run); what they show was told already.
    """

    def __init__(self, facts: Facts, earlier: Sequence[Mapping[str, Any]] = ()) -> None:
        self._facts, self._lines = facts, list(earlier)
        self._count = len({line["iteration"] for line in self._lines})
        self._told = {finding.name for finding in self._diagnose()}
        self._next = self._count + 1

    def add(self, *lines: Mapping[str, Any], last: bool = False) -> list[Finding]:
        """Take in an iteration.

        Args:
            *lines: Its metrics and its record.
            last: No more will follow: look now.

        Returns:
            Root causes that were not told before, the gravest first; mostly none.
        """
        self._lines += lines
        self._count += 1
        if self._count < self._next and not last:
            return []
        self._next = self._count + 1 if self._count < OFTEN else math.ceil(self._count * SPARING)
        new = [finding for finding in self._diagnose() if finding.name not in self._told]
        self._told |= {finding.name for finding in new}
        return new

    def _diagnose(self) -> tuple[Finding, ...]:
        return diagnose(signals_of(self._lines, self._facts)).findings if self._lines else ()
