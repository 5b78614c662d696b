"""Thousands of streams under one formula, in lockstep.

One step costs a fixed number of array operations per operator, whatever the windows (amortised: a window of w is swept
once every w samples; `at least k of w` sorts and costs O(w)). No operation branches on data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from custodes.stl import formula as f
from custodes.stl.errors import StlError
from custodes.stl.policy import ENDS, NANS, End, Nan
from custodes.stl.streaming.cells import Array, Mask
from custodes.stl.streaming.engine import Engine
from custodes.stl.streaming.network import INF, Plan
from custodes.stl.streaming.plan import compile_formula
from custodes.stl.streaming.saving import digest, pack, unpack
from custodes.stl.streaming.verdict import Ending, Verdict

VERSION = 2
"""Of the format of a saved state."""


@final
class Monitor:
    """Watches many streams for one formula.

    At sample s, `step` gives the robustness at time s - `delay`, which is exact when every window ahead ends: what the
    batched evaluator gives there under any end policy, whatever follows. Where a window ahead has no end the value
    is a pair of sound bounds from what is known at that sample. It also gives bounds of the robustness at the first
    sample, the verdict on the whole trace; `interval` gives the tightest such bounds, at a higher price.

    Args:
        formula: Bounds in samples.
        streams: How many, >= 1.
        nan: reject raises at a NaN; mask takes it for an unknown number.

    Raises:
        StlError: The formula has bounds in units of time or aggregates over the future.
    """

    def __init__(self, formula: f.Formula, *, streams: int = 1, nan: Nan = "reject") -> None:
        if streams < 1:
            raise StlError(f"{streams} streams can't be watched", fix="give at least 1")
        if nan not in NANS:
            raise StlError(f"nan={nan!r} is no policy", fix="write reject or mask")
        self.formula, self.streams, self.nan = formula, streams, nan
        self._plan: Plan = compile_formula(formula)
        self._lanes = 2 if self._plan.pairs or nan == "mask" else 1
        self._engine = Engine(self._plan, lanes=self._lanes, streams=streams)
        self._twin: Engine | None = None
        self._rows, self._spare = self._buffers(), self._buffers()

    def _buffers(self) -> dict[str, Array]:
        return {name: np.zeros((self._lanes, self.streams)) for name in self._plan.signals}

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the signals that the formula reads, sorted."""
        return self._plan.signals

    @property
    def delay(self) -> int:
        """So many samples after a time its value comes out: the formula's horizon when every window ahead ends."""
        return self._plan.root.delay

    @property
    def ages(self) -> NDArray[np.int64]:
        """Index of each stream's latest sample, [streams]; -1 before the first."""
        return self._engine.clock.age.copy()

    def step(self, samples: Mapping[str, ArrayLike]) -> Verdict:
        """Take one sample of every stream.

        Args:
            samples: Signal to numbers [streams]; a number alone stands for one stream; others are ignored.

        Returns:
            What is known now; its arrays are the caller's to keep.

        Raises:
            StlError: A signal is missing, of another shape, or not finite. The monitor is then as it was before.
        """
        for name in self._plan.signals:
            self._read(name, samples)
        self._rows, self._spare = self._spare, self._rows
        value = self._engine.advance(self._rows)
        times = self._engine.clock.age - self.delay
        lower = value[0].copy()
        upper = lower if self._lanes == 1 else value[1].copy()
        if self._engine.clock.low < self.delay:
            early = times < 0
            lower, upper = np.where(early, -INF, lower), np.where(early, INF, upper)
        first_lower, first_upper = self._engine.first()
        return Verdict(times=times, lower=lower, upper=upper, first_lower=first_lower, first_upper=first_upper)

    def _read(self, name: str, samples: Mapping[str, ArrayLike]) -> None:
        """Check one signal and write it where the engine is not reading."""
        if name not in samples:
            raise StlError("the sample lacks this signal", where=f"signal {name!r}", fix="give a number per stream")
        row = self._spare[name]
        try:
            array = np.asarray(samples[name])
            if array.dtype.kind not in "fiub":
                raise TypeError
            if array.shape != (self.streams,) and not (array.shape == () and self.streams == 1):
                what = f"has shape {list(array.shape)}, not [{self.streams}]"
                raise StlError(what, where=f"signal {name!r}", fix="give one number per stream")
            row[...] = array
        except (TypeError, ValueError) as error:
            if isinstance(error, StlError):
                raise
            raise StlError("is not made of numbers", where=f"signal {name!r}", fix="give floats") from None
        if not np.isfinite(row[0]).all():
            self._unknown(name, row)

    def _unknown(self, name: str, row: Array) -> None:
        """Infinities are refused; NaN is refused or becomes unknown."""
        infinite, missing = np.isinf(row[0]), np.isnan(row[0])
        bad = infinite if self.nan == "mask" else infinite | missing
        if bad.any():
            stream = int(np.argmax(bad))
            where = f"signal {name!r}, stream {stream}, sample {int(self._engine.clock.age[stream]) + 1}"
            fix = "give finite numbers" if infinite[stream] else "give a number, or monitor with nan='mask'"
            raise StlError(f"{row[0, stream]} is no number that can be judged", where=where, fix=fix)
        row[0][missing], row[1][missing] = -INF, INF

    # --- what may follow ---

    def interval(self) -> tuple[Array, Array]:
        """The tightest bounds of the robustness at each stream's first sample, over all that may follow.

        Runs a copy of the monitor on unknown samples: O(horizon) steps. Equal to the definition's interval on the
        samples so far, except where a window ahead without end lies inside another temporal operator: there the
        bounds hold and may be wider. They still follow one such window under an always or eventually with only
        connectives in between (`always(p -> (q until r))` is violated when it is), up to the first sample at which a
        number inside is unknown: a masked NaN, or a computed term that is not finite.

        Returns:
            Lower and upper [streams].
        """
        twin = self._pairs()
        missing = self._plan.root.delay - twin.clock.low if self._plan.bounded else self._plan.reach
        self._feed(twin, self._unknowns(), missing)
        low, high = twin.first(closed=not self._plan.bounded)
        now_low, now_high = self._engine.first()
        return np.maximum(low, now_low), np.minimum(high, now_high)

    def finish(self, end: End) -> Ending:
        """The values of the times that are still open, were the trace to end here; the monitor itself goes on.

        Exact when every window ahead ends. With a window ahead without end the times have no value here (use the
        batched evaluator on a stored trace); the bounds at the first sample are then exact for one such window with
        only connectives above it, under truncate and hold also for one of them inside an always or eventually
        with only connectives in between and nothing that looks further ahead beside it (as long as no
        number inside was unknown: a masked NaN, or a computed term that is not finite), and sound for others.

        Args:
            end: What is taken to lie beyond the end.

        Raises:
            StlError: No such policy, or a stream has no sample yet.
        """
        if end not in ENDS:
            raise StlError(f"end={end!r} is no policy", fix="write truncate, hold, interval or pessimistic")
        if self._engine.clock.low < 0:
            raise StlError("a stream has no sample yet", fix="finish after the first step")
        known = end in ("truncate", "hold")
        twin, rows = self._pairs(), self._unknowns()
        if known:
            rows = {name: np.broadcast_to(row, (2, self.streams)) for name, row in self._rows.items()}
        twin.clock.cut = end == "truncate"
        pending = self.delay if self._plan.bounded else 0
        values = self._feed(twin, rows, pending)
        if not self._plan.bounded:
            self._feed(twin, rows, self._plan.reach)
        low, high = twin.first(closed=not self._plan.bounded)
        times = self._engine.clock.age - self.delay + np.arange(1, pending + 1)[:, None]
        return Ending(times=times, lower=values[:, 0], upper=values[:, 1], first_lower=low, first_upper=high)

    def _pairs(self) -> Engine:
        if self._twin is None:
            self._twin = Engine(self._plan, lanes=2, streams=self.streams)
        self._twin.follow(self._engine)
        return self._twin

    def _unknowns(self) -> dict[str, Array]:
        unknown = np.empty((2, self.streams))
        unknown[0], unknown[1] = -INF, INF
        return dict.fromkeys(self._plan.signals, unknown)

    def _feed(self, twin: Engine, rows: dict[str, Array], count: int) -> Array:
        values = np.empty((max(0, count), 2, self.streams))
        for index in range(count):
            twin.clock.beyond += 1
            values[index] = twin.advance(rows)
        return values

    # --- start again, save, restore ---

    def reset(self, streams: Mask) -> None:
        """Start some streams anew; the others go on.

        Args:
            streams: True at those, [streams].

        Raises:
            StlError: Another shape or type.
        """
        mask = np.asarray(streams)
        if mask.dtype != np.bool_ or mask.shape != (self.streams,):
            raise StlError(f"a reset mask has {mask.dtype} {list(mask.shape)}, not bool [{self.streams}]")
        if mask.any():
            self._engine.forget(mask)

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs: numbers, text and arrays, none of them shared with the monitor."""
        return {
            "version": VERSION,
            "formula": digest(self.formula),
            "streams": self.streams,
            "nan": self.nan,
            "last": [self._rows[name].copy() for name in self._plan.signals],
            **self._engine.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where a saved monitor stopped, bit for bit.

        Raises:
            StlError: The state is damaged or of another formula, stream count, NaN policy or version. The monitor is
                then as it was before.
        """
        wanted = {"version": VERSION, "formula": digest(self.formula), "streams": self.streams, "nan": self.nan}
        for key, value in wanted.items():
            if not isinstance(state, Mapping) or type(state.get(key)) is not type(value) or state[key] != value:
                found = state.get(key) if isinstance(state, Mapping) else None
                raise StlError(
                    f"a saved monitor has {key} {found!r}, not {value!r}", fix="restore it where it was made"
                )
        last, shape = state.get("last"), (self._lanes, self.streams)
        fits = isinstance(last, list) and len(last) == len(self._plan.signals)
        if not fits or not all(isinstance(row, np.ndarray) and row.shape == shape for row in last):  # type: ignore[union-attr]
            raise StlError("a saved monitor lacks its last samples", fix="save it again")
        self._engine.restore(dict(state))
        for name, row in zip(self._plan.signals, last, strict=True):  # type: ignore[arg-type]
            self._rows[name][...] = row

    def dumps(self) -> bytes:
        """The state as bytes, with a checksum."""
        return pack(self.state())

    def loads(self, data: bytes) -> None:
        """Restore from bytes.

        Raises:
            StlError: They are damaged, or see `restore`.
        """
        self.restore(unpack(data))
