"""Read a policy file: strict, frozen models, one for each table of the file.

What each key means, and its default, is in docs/policies.md; a `description` here is what the
key accepts, in the words in which a bad file is refused.
"""

import hashlib
import re
import tomllib
from typing import Any, Final, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)

from retake_policies.fields import (
    AnyDuration,
    Distinct,
    Instant,
    Line,
    Listed,
    Name,
    Pair,
    Period,
    Starts,
    Zone,
)
from retake_policies.problems import (
    anchored_twice,
    describe,
    finer_than_microseconds,
    misfits,
    rolling_without_period,
)

# The fields of ExceptionRequested (spec section 2), in its order: what a policy may ask for.
RequestField = Literal[
    "request_id",
    "exam",
    "registration_id",
    "reason",
    "exam_number",
    "vue_case_number",
    "candidate_id",
    "first_name",
    "last_name",
    "email",
    "description",
]
REQUEST_FIELDS: Final[tuple[str, ...]] = get_args(RequestField)

_MOST_PERIODS: Final = 1_200  # of a cap: a hundred years of months
_MOST: Final = 1_000_000  # sittings: beyond it a number is a slip, and integers stay small
# Anybody's feed may publish a policy, and every question reads it again.
LONGEST: Final = 65_536  # bytes: twenty times a long one
_MOST_DOTS: Final = 100  # tomllib takes the square of a dotted key's parts: 16 s for one of 64 KiB
_LONG_NUMBER: Final = re.compile(r"[0-9_]{1001}")  # Python has words of its own for 4,300


class PolicyError(Exception):
    """A policy file is refused: `problems` is a sentence for each fault, all at once."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Keep the sentences; each names file, key, value and what would be accepted."""
        super().__init__("\n".join(problems))
        self.problems = problems


class Table(BaseModel):
    """A table of the file: no unknown keys, no conversions, no change afterwards."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, defer_build=True
    )


class WaitTable(Table):
    """`[wait]`: how long after a sitting that was not passed. Left out: no wait, zone UTC."""

    after: Listed[AnyDuration] = Field(
        (), description='a list of durations, such as ["PT24H", "P14D", "P6M"]'
    )
    from_: Literal["start", "end"] = Field(
        "start", alias="from", description='"start" or "end" (of the sitting)'
    )
    days: Literal["elapsed", "calendar", "clear"] = Field(
        "elapsed", description='"elapsed", "calendar" or "clear"'
    )
    zone: Zone = Field("UTC", description='the name of a time zone, such as "Europe/Berlin"')
    within: Period | None = Field(None, description='months ("P12M") or days ("P90D")')


class Cap(Table):
    """`[[cap]]`: at most so many counted sittings within a period, or for life."""

    sittings: int = Field(ge=1, le=_MOST, description=f"a whole number from 1 to {_MOST}")
    anchor: Literal["first-sitting", "last-sitting", "rolling", "calendar", "calendar-year"] = (
        Field(
            "first-sitting",
            description='"first-sitting", "last-sitting", "rolling", "calendar" or "calendar-year"',
        )
    )
    period: Period | None = Field(None, description='months ("P12M") or days ("P90D")')
    by: Literal["instant", "date"] = Field("instant", description='"instant" or "date"')
    starts: Starts | None = Field(
        None,
        description='a list of days of the year ("07-01") or of dates ("2022-12-07"), as texts, '
        "the earliest first",
    )
    periods: int = Field(
        1, ge=1, le=_MOST_PERIODS, description=f"a whole number from 1 to {_MOST_PERIODS}"
    )
    since: Instant | None = Field(
        None, description="an instant with its offset and without quotes: 2019-09-01T00:00:00Z"
    )

    @property
    def for_life(self) -> bool:
        """Return whether the cap has no period at all."""
        return self.period is None and self.anchor not in ("calendar", "calendar-year")


class PassTable(Table):
    """`[pass]`: may a passed exam be taken again. Left out: once the certification has expired."""

    retake: Literal["after-expiry", "never", "always", "after"] = Field(
        "after-expiry", description='"after-expiry", "never", "always" or "after"'
    )
    after: Period | None = Field(None, description='months ("P2Y") or days ("P180D")')
    before_expiry: Period | None = Field(None, description='months ("P6M") or days ("P60D")')


class AuthorizationTable(Table):
    """`[authorization]`: may one sit without an authorization. Left out: none is needed."""

    required: bool = Field(False, description="true or false")
    sittings: int | None = Field(
        None, ge=1, le=_MOST, description=f"a whole number from 1 to {_MOST}"
    )


class MissedTable(Table):
    """`[missed]`: sittings to which the candidate did not come. Left out: they do not count."""

    counts: bool = Field(False, description="true or false")


class BetaTable(Table):
    """`[beta]`: sittings before the exam is live. Left out: one, which does not count."""

    sittings: int = Field(1, ge=0, le=_MOST, description=f"a whole number from 0 to {_MOST}")
    counts: bool = Field(False, description="true or false")
    results_after_live: Pair | None = Field(
        None, description='the earliest and the latest duration, such as ["P7D", "P10D"]'
    )
    overdue_after_live: AnyDuration | None = Field(
        None, description='a duration, such as "P14D"; left out, a pending result keeps blocking'
    )


class ExceptionTable(Table):
    """`[exception]`: what a retake exception may waive. Left out: none is offered."""

    waives: Distinct[Literal["wait", "cap", "passed"]] = Field(
        description='a list of "wait", "cap" and "passed"'
    )
    reasons: Distinct[Name] = Field(description='a list of names, such as ["lab-crash"]')
    required: Distinct[RequestField] = Field(
        (), description="a list of fields of ExceptionRequested: " + ", ".join(REQUEST_FIELDS)
    )


class Policy(Table):
    """One version of one programme's retake rules, in force from `effective_from`.

    Instants are microseconds since 1970-01-01T00:00Z, durations `Duration` (unit, amount).
    Made by `parse_policy`, which also keeps the digest of the text.
    """

    id: Name = Field(description='a name, such as "general"')
    title: Line = Field("", description="one line of text")
    source: Line = Field("", description="one line of text: where the rules are written")
    effective_from: Instant = Field(
        description="an instant with its offset and without quotes: 2021-03-31T00:00:00Z"
    )
    wait: WaitTable = Field(default_factory=WaitTable, description="a table [wait]")
    cap: Listed[Cap] = Field((), description="tables [[cap]]")
    pass_: PassTable = Field(default_factory=PassTable, alias="pass", description="a table [pass]")
    authorization: AuthorizationTable = Field(
        default_factory=AuthorizationTable, description="a table [authorization]"
    )
    missed: MissedTable = Field(default_factory=MissedTable, description="a table [missed]")
    beta: BetaTable = Field(default_factory=BetaTable, description="a table [beta]")
    exception: ExceptionTable = Field(
        default_factory=lambda: ExceptionTable(waives=(), reasons=()),
        description="a table [exception]",
    )
    _sha256: str = PrivateAttr("")

    @property
    def sha256(self) -> str:
        """The hex SHA-256 of the file's text in UTF-8, by which an answer names it exactly."""
        return self._sha256


def parse_policy(text: str | bytes, where: str, *, published: bool = False) -> Policy:
    """Read one policy from TOML text (or a file's bytes, which must be UTF-8).

    `where` names the file in each sentence. A text that was `published` means for ever what it
    meant: a rolling cap without a period, which is refused of new ones, is one for life. Raises
    PolicyError with all problems at once.
    """
    text, tree = _read_toml(text, where)
    problems: list[str] = []
    try:
        policy = Policy.model_validate(tree)
    except ValidationError as error:
        problems += describe(error, Policy)
    problems += misfits(tree)
    problems += () if published else rolling_without_period(tree)
    problems += anchored_twice(tree)
    problems += finer_than_microseconds(text, tree)
    if problems:
        raise PolicyError(tuple(f"{where}: {problem}" for problem in problems))
    policy._sha256 = hashlib.sha256(text.encode()).hexdigest()
    return policy


def _read_toml(text: str | bytes, where: str) -> tuple[str, dict[str, Any]]:
    try:
        data = text.encode() if isinstance(text, str) else text
        if len(data) > LONGEST:
            raise PolicyError(
                (f"{where}: is {len(data):,} bytes long; write at most {LONGEST:,}.",)
            )
        text = data.decode()
    except (UnicodeEncodeError, UnicodeDecodeError) as error:
        raise PolicyError(
            (f"{where}: is not UTF-8 at byte {error.start + 1}; save it as UTF-8.",)
        ) from None
    if text.startswith("\ufeff"):
        raise PolicyError(
            (f"{where}: begins with a byte order mark; save it as UTF-8 without one.",)
        )
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _MOST_DOTS:
            problem = f"line {number} has more than {_MOST_DOTS} dots; write shorter lines."
            raise PolicyError((f"{where}: {problem}",))
        if _LONG_NUMBER.search(line):
            raise PolicyError((f"{where}: line {number} has a number of more than 1,000 digits.",))
    try:
        return text, tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyError((f"{where}: is not TOML: {error}.",)) from None
