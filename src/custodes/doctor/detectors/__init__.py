"""The detectors, by what they look at. Importing this registers them all."""

from __future__ import annotations
