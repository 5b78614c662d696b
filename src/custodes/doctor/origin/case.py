"""The case as a whole: the original re-made and diagnosed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from custodes.data.dataset import Dataset
from custodes.doctor.diagnose import diagnose
from custodes.doctor.finding import Diagnosis
from custodes.doctor.origin.defects import Repairs
from custodes.doctor.origin.material import Material, prepare
from custodes.doctor.origin.settings import OriginSettings
from custodes.doctor.origin.signals import signals_from
from custodes.doctor.origin.training import Iteration, train
from custodes.doctor.signals import Signals


@dataclass(frozen=True, kw_only=True)
class Case:
    """A training of the original and what the doctor says about it."""

    iterations: tuple[Iteration, ...]
    """The training."""
    material: Material
    """What it played."""
    signals: Signals
    """What it recorded."""
    diagnosis: Diagnosis
    """From these signals alone."""


def examine(
    recording: Dataset,
    settings: OriginSettings,
    repairs: Repairs,
    watch: Callable[[Iteration], None] = lambda iteration: None,
) -> Case:
    """Train the original, with some of its defects repaired, and diagnose it.

    Args:
        recording: From `read_recording`.
        settings: Sizes, coefficients and seed.
        repairs: Which defects are repaired; none of them is the original.
        watch: Called after each iteration.
    """
    material = prepare(recording, repairs, settings.seed)
    iterations = train(material, settings, repairs, watch)
    recorded = signals_from(iterations, material, settings, repairs)
    return Case(iterations=iterations, material=material, signals=recorded, diagnosis=diagnose(recorded))
