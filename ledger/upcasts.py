"""Which types of event there are, in which version of their schemas, and how earlier data is read.

Whoever reads the ledger asks here alone: the models, which say what may go in, are built for those
that append.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from ledger.problems import MalformedFact

Data: TypeAlias = dict[str, Any]
Upcasts: TypeAlias = Mapping[tuple[str, int], Callable[[Data], Data]]
"""By (type, version): a function from that version's data to the next version's."""

VERSIONS: Mapping[str, int] = dict.fromkeys(
    (
        "ExamAttempted",
        "ExamPassed",
        "ExamFailed",
        "BetaRescored",
        "ResultRevoked",
        "SittingMissed",
        "AuthorizationGranted",
        "AuthorizationRevoked",
        "ExceptionRequested",
        "ExceptionRejected",
        "ExceptionGranted",
        "ExceptionRevoked",
        "CertEarned",
        "CertRenewed",
        "CertExpired",
        "CandidateForgotten",
        "EventAnnulled",
        "ExamAnnounced",
        "ExamWentLive",
        "ExamRetired",
        "CertificationDefined",
        "PolicyPublished",
    ),
    1,
)
"""Every type of event, in the order of spec section 2, with the current version of its schema."""

UPCASTS: Upcasts = {}
"""Every type is still at its first version. An entry, once released, is never changed."""


def topic_of(type: str) -> str:
    """Return the topic under which an event of a type is stored today."""
    return f"{type}:{VERSIONS[type]}"


TOPICS: Collection[str] = frozenset(map(topic_of, VERSIONS))
"""Of every type as it is stored today."""


def current_version(type: str) -> int:
    """Return the current version of a type; raises MalformedFact, naming the types there are."""
    found = VERSIONS.get(type)
    if found is None:
        raise MalformedFact(f"type {type!r} is unknown: accepted are {', '.join(VERSIONS)}")
    return found


def upcast(type: str, version: int, current: int, data: Data, upcasts: Upcasts) -> Data:
    """Return `data` of `version` as data of `current`, one version at a time.

    The argument is not changed. Raises MalformedFact for a version that nothing leads up from.
    """
    while version != current:
        step = upcasts.get((type, version))
        if step is None:
            raise MalformedFact(
                f"{type} of schema version {version} is not known here: "
                f"version {current} is the one that can be read"
            )
        data = step(dict(data))
        version += 1
    return data
