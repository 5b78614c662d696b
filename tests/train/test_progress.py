from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from custodes.train.progress import Rate, TrainProgress, stop_on_signal


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rate_is_over_the_last_half_minute() -> None:
    clock = Clock()
    rate = Rate(clock)
    assert rate.per_second is None
    rate.add(0)
    rate.add(0)
    assert rate.per_second is None, "no time has passed"
    for second in range(1, 101):
        clock.now = float(second)
        rate.add(second * 10 if second <= 50 else 500 + (second - 50) * 40)
        if second == 40:
            assert rate.per_second == 10
    assert rate.per_second == 40


def test_plain_lines_come_every_ten_seconds_with_rate_and_remaining_time() -> None:
    clock, out = Clock(), io.StringIO()
    with TrainProgress(10_000, console=Console(file=out, width=40), clock=clock) as progress:
        for second in range(1, 26):
            clock.now = float(second)
            progress.update(second * 100, {"f1": second / 100, "loss": None})
        progress.say("a [line]")
    assert out.getvalue().splitlines() == [
        " 10%  1,000 / 10,000 decisions  100/s  1:30 left  f1 0.100  loss -",
        " 20%  2,000 / 10,000 decisions  100/s  1:20 left  f1 0.200  loss -",
        "a [line]",
        " 25%  2,500 / 10,000 decisions  100/s  1:15 left  f1 0.250  loss -",
    ]


def test_a_resumed_run_counts_only_its_own_decisions_in_the_rate() -> None:
    clock, out = Clock(), io.StringIO()
    with TrainProgress(10_000_000, done=1_000_000, console=Console(file=out), clock=clock) as progress:
        clock.now = 10.0
        progress.update(1_010_000, {})
    assert "1,000/s  2:29:50 left" in out.getvalue()


def test_the_last_line_is_not_printed_twice() -> None:
    clock, out = Clock(), io.StringIO()
    with TrainProgress(100, console=Console(file=out), clock=clock) as progress:
        clock.now = 10.0
        progress.update(100, {})
    assert len(out.getvalue().splitlines()) == 1


def test_a_failed_training_leaves_no_last_line() -> None:
    out = io.StringIO()
    with pytest.raises(ValueError, match="broken"), TrainProgress(10, console=Console(file=out)):
        raise ValueError("broken")
    assert out.getvalue() == ""


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    clock, out = Clock(), io.StringIO()
    shown = {"eval f1": 0.9, "f1": 0.5, "loss": 1.25, "floor": 0.75}
    with TrainProgress(3_600_000, console=Console(file=out, force_terminal=True, width=80), clock=clock) as progress:
        clock.now = 1.0
        progress.update(90_000, shown)
        progress.say("a warning")
        progress.update(90_000, shown)
    text = out.getvalue()
    assert "━" in text
    assert "a warning" in text
    numbers = "90,000/s  0:39 left  eval f1 0.900  f1 0.500  loss 1.250  floor 0.750"
    assert text.count(numbers) >= 2, "it fits a terminal of 80 columns"
    assert text.splitlines()[-1].endswith(f"2%  90,000 / 3,600,000 decisions  {numbers}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_aborts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    said: list[str] = []
    with stop_on_signal(said.append) as request:
        states = [request.asked]
        os.kill(os.getpid(), number)
        states.append(request.asked)
        assert states == [False, True]
        assert len(said) == 1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_handlers_are_restored_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="broken"), stop_on_signal(print):
        raise ValueError("broken")
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_may_train() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stop_on_signal(print) as request:
            seen.append(request.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_real_process_stops_after_its_iteration(tmp_path: Path) -> None:
    code = """
import sys, time
from custodes.train.progress import TrainProgress, stop_on_signal
with TrainProgress(1000) as progress, stop_on_signal(progress.say) as stop:
    print("started", flush=True)
    for iteration in range(1000):
        time.sleep(0.02)
        progress.update(iteration, {})
        if stop.asked:
            print("saved", flush=True)
            break
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert child.returncode == 0
    assert out == "saved\n"
    assert "Stopping after this iteration" in err
