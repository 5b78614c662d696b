"""Scenarios written by hand for what seeds find too rarely."""

from __future__ import annotations

from typing import Any

DIRECTED: dict[str, Any] = {}
