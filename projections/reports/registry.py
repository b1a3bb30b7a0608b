"""All reports, in the order in which they are listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from projections.reports import (
    betas,
    blocked,
    corrections,
    exceptions,
    expiring,
    retakes,
    violations,
    volumes,
)
from projections.reports.report import Report

REPORTS: Final[Mapping[str, Report]] = {
    module.REPORT.name: module.REPORT
    for module in (
        volumes,
        blocked,
        retakes,
        betas,
        exceptions,
        expiring,
        violations,
        corrections,
    )
}
"""Each report by its name."""
