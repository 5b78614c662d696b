"""What `custodes train` shows while it runs, and how it hears Ctrl-C."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from custodes.cli.output import say
from custodes.doctor.finding import SEVERITIES, Finding, Severity
from custodes.train.loop import Watcher
from custodes.train.progress import StopRequest, TrainProgress, stop_on_signal
from custodes.train.run_folder import RunFolder

_SHOWN = {"eval_f1": "eval f1", "f1": "f1", "value_loss": "loss", "value_loss_floor": "floor"}


class Screen:
    """Progress from the first iteration on. Before that (reading data) Ctrl-C ends the program at once.

    Args:
        stop_on: Stop the training at the first finding that is as grave; None never does.
    """

    def __init__(self, stop_on: Severity | None = None) -> None:
        self._stop_on = stop_on
        self.stopped_by: Finding | None = None
        """What the training was stopped for; None where it was not."""
        self._stack = contextlib.ExitStack()
        self._progress: TrainProgress | None = None
        self._request = StopRequest()
        self._done = self._budget = 0

    def __enter__(self) -> Screen:
        """Nothing is shown yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the bar away and give the signals back."""
        self._stack.__exit__(kind, error, at)

    @property
    def began(self) -> bool:
        """Whether the training got as far as its first iteration."""
        return self._progress is not None

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped the training before its end."""
        return self._request.asked and self._done < self._budget

    def watcher(self) -> Watcher:
        """What the training loop reports to."""
        return Watcher(
            started=self._started,
            iterated=self._iterated,
            stop=lambda: self._request.asked or self.stopped_by is not None,
            warn=self._warn,
            found=self._found,
        )

    def _started(self, run: RunFolder, done: int, budget: int) -> None:
        self._done, self._budget = done, budget
        self._progress = self._stack.enter_context(TrainProgress(max(1, budget), done=done))
        self._request = self._stack.enter_context(stop_on_signal(self._warn))
        # Last, so that whoever reads it may already send the signal.
        self._warn(f"Training {run.path}")

    def _iterated(self, line: Mapping[str, Any]) -> None:
        self._done = line["decisions"]
        if self._progress is not None:
            # Validation is not played in every iteration; its last score stays on the screen.
            shown = {name: line[key] for key, name in _SHOWN.items() if line.get(key) is not None}
            self._progress.update(self._done, shown)

    def _found(self, finding: Finding) -> None:
        since = f"since iteration {finding.iteration}" if finding.iteration else "from the start"
        self._warn(f"Doctor: {finding.severity}: {finding.name} {since}: {finding.cause}. Change: {finding.change}.")
        if self._stop_on is not None and SEVERITIES.index(finding.severity) <= SEVERITIES.index(self._stop_on):
            self.stopped_by = self.stopped_by or finding

    def _warn(self, line: str) -> None:
        if self._progress is None:
            say(line)
        else:
            self._progress.say(line)
