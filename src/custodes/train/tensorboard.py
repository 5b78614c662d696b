"""TensorBoard events of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

SKIPPED: Final = frozenset({"iteration", "decisions", "action_shares"})


class EventLog:
    """Writes an iteration's numbers to `<run>/tensorboard`; a resumed run purges what it will write again.

    Args:
        path: The run folder.
        iteration: Iterations done; later ones from before are purged.
        enabled: False writes nothing.
    """

    def __init__(self, path: Path, iteration: int, *, enabled: bool) -> None:
        self._writer: Any = None
        if enabled:
            # Imported here: it takes most of a second, and a run may do without it.
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(path / "tensorboard", purge_step=iteration + 1 if iteration else None)

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush and close."""
        if self._writer is not None:
            self._writer.close()

    def write(self, line: Mapping[str, Any]) -> None:
        """Add one iteration's metrics, lists by agent."""
        if self._writer is None:
            return
        for name, value in line.items():
            if name in SKIPPED or value is None:
                continue
            if isinstance(value, list):
                for agent, part in enumerate(value):
                    self._writer.add_scalar(f"{name}/{agent}", part, line["iteration"])
            else:
                self._writer.add_scalar(name, value, line["iteration"])
