"""What an audit is about: the conditions that its queries take. Known without Arrow."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, ValidationError

from ledger.faults import fault_words
from ledger.fields import Instant
from ledger.instants import format_instant
from ledger.models import EVENT_TYPES
from projections.answers import Answer
from retake_policies.durations import DAY, DAYS, MONTHS, parse_duration


def threshold(text: str) -> int:
    """Read how long after its truth a fact is backdated, in microseconds.

    Time or days, which are 24 hours: what passes between truth and recording is elapsed time, and
    no zone's calendar has a say in it. Raises ValueError, with one sentence, for anything else.

    >>> threshold("P7D") == threshold("PT168H")
    True
    """
    unit, amount = parse_duration(text)
    if unit == MONTHS:
        raise ValueError(
            f'"{text}" is in months, which are not all as long; write days ("P30D") or time '
            '("PT24H")'
        )
    return amount * DAY if unit == DAYS else amount


def _a_threshold(text: str) -> str:
    threshold(text)
    return text


def _a_type(name: str) -> str:
    if name not in EVENT_TYPES:
        raise ValueError(f"type {name!r} is unknown: accepted are {', '.join(EVENT_TYPES)}")
    return name


class Conditions(Answer):
    """What an audit is about: all of these at once; null, or empty, for what was not said.

    The order is that in which they are said. Intervals are from inclusive, to exclusive.
    """

    candidate: str | None = None
    subject: str | None = None
    """A candidate, an exam, a certification or a policy, by its id."""
    exam: str | None = None
    types: tuple[Annotated[str, AfterValidator(_a_type)], ...] = ()
    actor: str | None = None
    source: str | None = None
    recorded_from: Instant | None = None
    recorded_to: Instant | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    by: Annotated[str, AfterValidator(_a_threshold)] | None = None
    """Recorded longer than that after it was true: an ISO 8601 duration of days or time."""
    changes: bool = False
    """Whether each fact is compared with the standings it changed."""

    @property
    def present(self) -> frozenset[str]:
        """The names of the conditions that there are."""
        values = self.model_dump()
        return frozenset(name for name, value in values.items() if value not in (None, (), False))


class BadCondition(ValueError):
    """A condition that cannot be: `name` is which, `why` what is wrong with it; one sentence."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name, self.why = name, why


def conditions_of(**terms: Any) -> Conditions:
    """Make conditions of what a door was given, without what is None; raises BadCondition."""
    try:
        made = Conditions(**{name: value for name, value in terms.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            accepted = ", ".join(Conditions.model_fields)
            raise BadCondition(name, f"there is no such condition: there are {accepted}") from None
        why = fault_words(first)
        if "input" in first and first["type"].endswith("_type"):
            why = f"{why}, not {first['input']!r}"
        raise BadCondition(name, why) from None
    if made.candidate is not None and made.subject is not None:
        raise BadCondition("subject", "candidate says whom it is about too: give one of them")
    for start, end in (("recorded_from", "recorded_to"), ("valid_from", "valid_to")):
        first, last = getattr(made, start), getattr(made, end)
        if first is not None and last is not None and first >= last:
            raise BadCondition(
                start,
                f"{format_instant(first)} does not lie before {format_instant(last)}, the end: "
                "nothing would be in between",
            )
    return made


WHICH: Final = (
    "candidate", "subject", "exam", "types", "actor", "source",
    "recorded_from", "recorded_to", "valid_from", "valid_to",
)  # fmt: skip
"""The conditions that every query over many events takes."""
