"""The attempt ledger for Python programs: `import attempt_ledger as al`, then `al.open(path)`.

docs/python.md shows what there is. Importing this imports nothing else: each name is loaded when it
is first used, so that the command line, a door like this one, starts quickly.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from attempt_ledger.answers import (
        Authorization,
        Cause,
        ExceptionRequest,
        PolicyUsed,
        Problem,
        Reason,
        Sitting,
        Standing,
    )
    from attempt_ledger.desks import Authorizations, Exceptions
    from attempt_ledger.facts import Event
    from attempt_ledger.python import Ledger, open
    from attempt_ledger.snapshot import Report, Snapshot
    from ledger.facts import Fact
    from ledger.intake.report import Report as ImportReport
    from ledger.outcomes import Appended, Conflict, Duplicate, Refused
    from ledger.problems import LedgerProblem
    from projections.exception_rules import DeskProblem
    from replay.snapshot import UnansweredMoment
    from replay.what_if import Compared
    from retake_policies.schema import PolicyError

    AuthorizationGranted: Callable[..., Fact]
    AuthorizationRevoked: Callable[..., Fact]
    BetaRescored: Callable[..., Fact]
    CertEarned: Callable[..., Fact]
    CertExpired: Callable[..., Fact]
    CertRenewed: Callable[..., Fact]
    CertificationDefined: Callable[..., Fact]
    EventAnnulled: Callable[..., Fact]
    ExamAnnounced: Callable[..., Fact]
    ExamAttempted: Callable[..., Fact]
    ExamFailed: Callable[..., Fact]
    ExamPassed: Callable[..., Fact]
    ExamRetired: Callable[..., Fact]
    ExamWentLive: Callable[..., Fact]
    ExceptionGranted: Callable[..., Fact]
    ExceptionRejected: Callable[..., Fact]
    ExceptionRequested: Callable[..., Fact]
    ExceptionRevoked: Callable[..., Fact]
    PolicyPublished: Callable[..., Fact]
    ResultRevoked: Callable[..., Fact]
    SittingMissed: Callable[..., Fact]

_HOMES = {
    "attempt_ledger.answers": (
        "Authorization Cause ExceptionRequest PolicyUsed Problem Reason Sitting Standing"
    ),
    "attempt_ledger.desks": "Authorizations Exceptions",
    "attempt_ledger.facts": "Event",
    "attempt_ledger.python": "ImportReport Ledger open",
    "attempt_ledger.snapshot": "Report Snapshot",
    "ledger.facts": "Fact",
    "ledger.outcomes": "Appended Conflict Duplicate Refused",
    "ledger.problems": "LedgerProblem",
    "projections.exception_rules": "DeskProblem",
    "replay.snapshot": "UnansweredMoment",
    "replay.what_if": "Compared",
    "retake_policies.schema": "PolicyError",
}
"""Where each name comes from; those of event types are all in `attempt_ledger.facts`."""

__all__ = [
    "Appended",
    "Authorization",
    "AuthorizationGranted",
    "AuthorizationRevoked",
    "Authorizations",
    "BetaRescored",
    "Cause",
    "CertEarned",
    "CertExpired",
    "CertRenewed",
    "CertificationDefined",
    "Compared",
    "Conflict",
    "DeskProblem",
    "Duplicate",
    "Event",
    "EventAnnulled",
    "ExamAnnounced",
    "ExamAttempted",
    "ExamFailed",
    "ExamPassed",
    "ExamRetired",
    "ExamWentLive",
    "ExceptionGranted",
    "ExceptionRejected",
    "ExceptionRequest",
    "ExceptionRequested",
    "ExceptionRevoked",
    "Exceptions",
    "Fact",
    "ImportReport",
    "Ledger",
    "LedgerProblem",
    "PolicyError",
    "PolicyPublished",
    "PolicyUsed",
    "Problem",
    "Reason",
    "Refused",
    "Report",
    "ResultRevoked",
    "Sitting",
    "SittingMissed",
    "Snapshot",
    "Standing",
    "UnansweredMoment",
    "open",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'attempt_ledger' has no attribute {name!r}")
    if (sentence := _stranger()) is not None:
        raise ImportError(sentence)
    home = next((home for home, names in _HOMES.items() if name in names.split()), None)
    # Here, so that `attempt-ledger --help` need not load the store and its libraries (0.15 s).
    module = import_module(home or "attempt_ledger.facts")
    return module.CONSTRUCTORS[name] if home is None else getattr(module, name)


def _stranger() -> str | None:
    """Return in a sentence which package of another project stands before ours; None if none."""
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    for room in ("ledger", "projections", "replay", "retake_policies"):
        try:
            found = find_spec(room)
        except ValueError:  # a module that was put together by hand, without a spec
            found = None
        at = "nowhere" if found is None else found.origin or "a folder without __init__.py"
        if os.path.realpath(at) != os.path.join(home, room, "__init__.py"):
            return (
                f"the package {room!r} that Python finds first is not of this program ({at}): "
                "leave that folder, take it from PYTHONPATH, or install this program into an "
                "environment of its own"
            )
    return None
