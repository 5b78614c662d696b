"""Traces as the caller hands them over, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from custodes.stl.errors import StlError


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Traces:
    """Signals of one shape, type and device."""

    signals: Mapping[str, Tensor]
    """Those that the formula reads, [traces, samples]."""
    lengths: Tensor | None
    """Int64 [traces], samples that each trace has; None where all have all."""
    traces: int
    """How many, >= 1."""
    samples: int
    """Of the longest, >= 1."""
    single: bool
    """Whether the caller gave one trace without an axis of traces."""
    dtype: torch.dtype
    """float32, or float64 as soon as one signal has it."""
    device: torch.device
    """Where all of them live."""


def checked(signals: Mapping[str, Tensor], names: Sequence[str], lengths: Tensor | None) -> Traces:
    """Check traces and bring them to one shape and type.

    Args:
        signals: By name, [traces, samples] or [samples].
        names: Those that the formula reads; where it reads none, any one gives the shape.
        lengths: Samples of each trace, or None.

    Raises:
        StlError: For a missing, empty or ill-matched signal, and for lengths that can't be.
    """
    for name in names:
        if name not in signals:
            known = ", ".join(sorted(signals)) or "none"
            raise StlError(f"the traces have no signal {name!r}", fix=f"signals there are: {known}")
    read = {name: signals[name] for name in names or list(signals)[:1]}
    if not read:
        raise StlError("no signal is given, so the traces have no length", fix="give at least one signal")
    for name, x in read.items():
        _check_one(name, x)
    (first, model), *others = read.items()
    for name, x in others:
        if x.shape != model.shape or x.device != model.device:
            raise StlError(
                f"has shape {list(x.shape)} on {x.device}, but {first!r} has {list(model.shape)} on {model.device}",
                where=f"signal {name!r}",
                fix="give all signals the same traces and samples, on one device",
            )
    dtype = torch.float64 if any(x.dtype == torch.float64 for x in read.values()) else torch.float32
    single = model.dim() == 1
    traces, samples = (1, *model.shape) if single else model.shape
    return Traces(
        signals={name: (x[None] if single else x).to(dtype) for name, x in read.items()},
        lengths=None if lengths is None else _checked_lengths(lengths, traces, samples, single, model.device),
        traces=traces,
        samples=samples,
        single=single,
        dtype=dtype,
        device=model.device,
    )


def _check_one(name: str, x: Tensor) -> None:
    where = f"signal {name!r}"
    if not isinstance(x, Tensor):
        raise StlError(f"is a {type(x).__name__}", where=where, fix="give a torch tensor [traces, samples]")
    if x.dtype not in (torch.float32, torch.float64):
        raise StlError(f"has type {x.dtype}", where=where, fix="convert it to float32 or float64")
    if x.dim() not in (1, 2):
        raise StlError(f"has {x.dim()} dimensions", where=where, fix="give [traces, samples] or [samples]")
    if x.numel() == 0:
        raise StlError("is empty", where=where, fix="give at least one trace of at least one sample")


def _checked_lengths(lengths: Tensor, traces: int, samples: int, single: bool, device: torch.device) -> Tensor | None:
    """Lengths as int64 [traces]; None where they cut nothing off."""
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise StlError(f"lengths have type {lengths.dtype}", fix="give whole numbers, one per trace")
    if tuple(lengths.shape) not in (((traces,), ()) if single else ((traces,),)):
        raise StlError(f"lengths have shape {list(lengths.shape)}", fix=f"give one length per trace: [{traces}]")
    lengths = lengths.reshape(traces).to(device=device, dtype=torch.int64)
    bad = (lengths < 1) | (lengths > samples)
    if bool(bad.any()):
        trace = int(bad.nonzero()[0, 0])
        raise StlError(
            f"the length {int(lengths[trace])} is not within 1 and {samples}",
            where=f"trace {trace}",
            fix="leave empty traces out",
        )
    return None if bool((lengths == samples).all()) else lengths
