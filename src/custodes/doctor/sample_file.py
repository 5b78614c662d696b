"""The sample of inputs as a file: safetensors, nothing pickled."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import safetensors
import safetensors.numpy

from custodes.doctor.sample import InputSample
from custodes.errors import CustodesError

_NAMES: Final = ("inputs", "labels", "lane", "run")


def encode_sample(sample: InputSample) -> bytes:
    """The file's content."""
    return safetensors.numpy.save({name: getattr(sample, name).copy() for name in _NAMES})


def read_sample(path: Path) -> InputSample | None:
    """The sample of a run; None where it has none.

    Raises:
        CustodesError: It cannot be read, or is none.
    """
    if not path.exists():
        return None
    try:
        tensors = safetensors.numpy.load(path.read_bytes())
        return InputSample(**{name: tensors[name] for name in _NAMES})
    except (OSError, safetensors.SafetensorError, KeyError) as error:
        raise CustodesError(
            f"no sample of inputs: {error}", where=str(path), fix="remove it; the doctor does without"
        ) from None
