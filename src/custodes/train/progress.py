"""What a person sees of a running training, and how they stop it. Everything goes to standard error."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

PLAIN_SECONDS = 10.0
"""Where there is no terminal, at most one line in so many seconds."""
RATE_SECONDS = 30.0
"""The rate is measured over the last so many seconds, so that evaluations and slow starts are forgotten."""


class Rate:
    """Decisions per second over a sliding window.

    Args:
        clock: Seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, decisions: int) -> None:
        """Note how many decisions have been taken in all by now."""
        now = self._clock()
        self._seen.append((now, decisions))
        # One point older than the window stays, so that the rate is over the whole window.
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_SECONDS:
            self._seen.popleft()

    @property
    def per_second(self) -> float | None:
        """The rate; None before two points in time are known."""
        if len(self._seen) < 2:
            return None
        (first, low), (last, high) = self._seen[0], self._seen[-1]
        return (high - low) / (last - first) if last > first else None


class TrainProgress:
    """A bar with rate and remaining time on a terminal, a plain line now and then elsewhere.

    Args:
        total: Decision budget, 1 or more.
        done: Decisions taken before this process (a resumed run).
        console: Where to; standard error by default.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        total: int,
        *,
        done: int = 0,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._done, self._clock = total, done, clock
        self._console = console or Console(stderr=True)
        self._rate = Rate(clock)
        self._rate.add(done)
        self._shown: dict[str, float | None] = {}
        self._printed, self._unseen = clock(), True
        self._bar: Progress | None = None
        if self._console.is_terminal:
            # Narrow enough for 80 columns: the bar stands for the decisions, which plain lines spell out.
            columns = (BarColumn(10), TaskProgressColumn(), TextColumn("{task.description}", markup=False))
            self._bar = Progress(*columns, console=self._console, transient=True)

    def __enter__(self) -> TrainProgress:
        """Show the bar."""
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._numbers(), total=self._total, completed=self._done)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the bar away and leave a last line."""
        if self._bar is not None:
            self._bar.stop()
        if kind is None and self._unseen:
            self._print()

    def update(self, decisions: int, shown: Mapping[str, float | None]) -> None:
        """An iteration is over.

        Args:
            decisions: Taken in all by now.
            shown: A few numbers to watch, by name; None shows as a dash. Names left out keep their last number.
        """
        self._done, self._unseen = decisions, True
        self._rate.add(decisions)
        self._shown |= shown
        if self._bar is not None:
            self._bar.update(self._task, completed=decisions, description=self._numbers())
        elif self._clock() - self._printed >= PLAIN_SECONDS:
            self._print()

    def say(self, line: str) -> None:
        """Print a line above the bar, such as a warning."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _print(self) -> None:
        self._printed, self._unseen = self._clock(), False
        share = min(1.0, self._done / self._total)
        self.say(f"{share:4.0%}  {self._done:,} / {self._total:,} decisions  {self._numbers()}".rstrip())

    def _numbers(self) -> str:
        """Rate, remaining time and what is watched."""
        rate, parts = self._rate.per_second, []
        if rate:
            parts += [f"{rate:,.0f}/s", f"{_duration(max(0, self._total - self._done) / rate)} left"]
        parts += [f"{name} {'-' if value is None else f'{value:.3f}'}" for name, value in self._shown.items()]
        return "  ".join(parts)


class StopRequest:
    """Whether the user has asked the training to stop."""

    def __init__(self) -> None:
        self.asked = False
        """True from the first Ctrl-C or SIGTERM on."""


@contextlib.contextmanager
def stop_on_signal(say: Callable[[str], None]) -> Iterator[StopRequest]:
    """Let the first Ctrl-C (or SIGTERM) ask for a stop after the current iteration, and the second one abort.

    Outside the main thread, where Python takes no handlers, signals keep their usual meaning.

    Args:
        say: Gets a line when the first signal arrives.

    Yields:
        The request, to be looked at after each iteration.

    Raises:
        KeyboardInterrupt: On the second signal.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if request.asked:
            raise KeyboardInterrupt
        request.asked = True
        say("Stopping after this iteration; its state will be saved. Once more to abort at once.")

    numbers = (signal.SIGINT,) if sys.platform == "win32" else (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds as people write them."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
