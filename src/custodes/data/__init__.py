"""Recorded events: reading, splitting, describing, converting. See docs/data.md."""

from custodes.data.config import DataConfig
from custodes.data.convert import Converted, convert
from custodes.data.dataset import Dataset, require_both_classes
from custodes.data.describe import describe
from custodes.data.reader import load
from custodes.data.schema import BENIGN, CHANNELS, CONTAMINATED, EVENT_SCHEMA, MALICIOUS, UNKNOWN
from custodes.data.split import Split, split

__all__ = [
    "BENIGN",
    "CHANNELS",
    "CONTAMINATED",
    "EVENT_SCHEMA",
    "MALICIOUS",
    "UNKNOWN",
    "Converted",
    "DataConfig",
    "Dataset",
    "Split",
    "convert",
    "describe",
    "load",
    "require_both_classes",
    "split",
]
