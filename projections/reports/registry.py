"""All reports, in the order in which they are listed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from projections.reports.report import Report

NAMES: Final = (
    "volumes",
    "blocked",
    "retakes",
    "betas",
    "exceptions",
    "expiring",
    "violations",
    "corrections",
)
"""Each report, the module of its name here."""

REPORTS: Final[Mapping[str, Report]] = {
    name: import_module(f"projections.reports.{name}").REPORT for name in NAMES
}
"""Each report by its name."""
