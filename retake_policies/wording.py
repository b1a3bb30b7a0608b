"""The words of a policy: the names of its clauses, and what each means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from textwrap import wrap
from typing import Final

from retake_policies.durations import say_duration
from retake_policies.fields import format_instant
from retake_policies.rules import cap_starts
from retake_policies.schema import Cap, Policy

PASS_RETAKE: Final = "pass.retake"
PASS_AFTER: Final = "pass.after"
PASS_BEFORE_EXPIRY: Final = "pass.before_expiry"
AUTHORIZATION_REQUIRED: Final = "authorization.required"
BETA_SITTINGS: Final = "beta.sittings"
BETA_RESULTS_AFTER_LIVE: Final = "beta.results_after_live"
BETA_OVERDUE_AFTER_LIVE: Final = "beta.overdue_after_live"


def wait_clause(ordinal: int, entries: int) -> str:
    """Name the wait that follows the sitting of this ordinal, of a policy with so many entries.

    "The last repeats": the sixth sitting of a policy with two entries waits by the second. Both
    numbers are at least 1; a policy without entries has no wait to name.

    >>> wait_clause(6, 2)
    'wait.after[2]'
    """
    return f"wait.after[{min(ordinal, entries)}]"


def cap_clause(index: int) -> str:
    """Name the cap at this index (from 0, as in `Rules.cap_sittings`).

    >>> cap_clause(0)
    'cap[1]'
    """
    return f"cap[{index + 1}]"


_INDENT: Final = 27  # the longest clause name, two spaces before and after

_DAYS: Final = {
    "elapsed": "a day is 24 hours",
    "calendar": "days count from 00:00 of the date of the sitting",
    "clear": "days are whole days in between, 00:00 to 00:00",
}
_RETAKE: Final = {
    "after-expiry": "a passed exam may be taken again once its certification has ended",
    "never": "a passed exam may not be taken again",
    "always": "a passed exam may be taken again at once",
    "after": "a passed exam may be taken again some time after the sitting",
}
_WAIVED: Final = {"wait": "the wait", "cap": "the cap", "passed": "a pass that stands"}
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def policy_text(policy: Policy, *, width: int = 80) -> str:
    """Render a policy for reading: a heading, then each clause by its name and in words.

    Lines are at most `width` columns, each ended by a newline.
    """
    lines = wrap(f"{policy.id}: {policy.title}" if policy.title else policy.id, width)
    lines += wrap(f"in force from: {format_instant(policy.effective_from)}", width)
    lines += wrap(f"source: {policy.source}", width) if policy.source else []
    lines += [f"sha256: {policy.sha256}", ""]
    for clause, words in clause_texts(policy).items():
        first, *rest = wrap(words, max(width - _INDENT, 20))
        lines.append(f"  {clause:<{_INDENT - 2}}{first}")
        lines += [" " * _INDENT + line for line in rest]
    return "\n".join(lines) + "\n"


def clause_texts(policy: Policy) -> dict[str, str]:
    """Map each clause that answers may name, and each other key, to its meaning in words."""
    parts = _wait, _cap, _pass, _authorization_and_missed, _beta, _exception
    return dict(chain.from_iterable(part(policy) for part in parts))


HEADINGS: Final = {
    "wait": "Waits",
    "cap": "Limits",
    "pass": "After a pass",
    "authorization": "Authorizations",
    "missed": "Missed sittings",
    "beta": "Beta",
    "exception": "Exceptions",
}
"""By table, what a reader looks for."""
_CONTINUED: Final = {PASS_AFTER: ": ", PASS_BEFORE_EXPIRY: ", "}
"""Clauses that go on where the sentence before them ends."""
_BEGUN: Final = {
    "exception.reasons": "reasons are: ",
    "exception.required": "a request must contain: ",
}
"""What a list needs before it to be a sentence."""


def rules_in_sentences(policy: Policy) -> dict[str, list[str]]:
    """Return the rules of a policy in plain sentences, by heading, in the words of the clauses.

    Where nothing waits, what waits are counted from, and in what days, is left out.
    """
    found: dict[str, list[str]] = {}
    waits = policy.wait.after or policy.pass_.after
    for clause, words in clause_texts(policy).items():
        if clause in ("wait.from", "wait.days") and not waits:
            continue
        sentences = found.setdefault(HEADINGS[re.split(r"[.\[]", clause)[0]], [])
        if clause in _CONTINUED:
            sentences[-1] = f"{sentences[-1][:-1]}{_CONTINUED[clause]}{words}."
        else:
            text = f"{_BEGUN.get(clause, '')}{words}"
            sentences.append(f"{text[0].upper()}{text[1:]}.")
    return found


def changes(old: Policy, new: Policy) -> list[str]:
    """Return what differs between two versions of a policy, a sentence a clause, in their order."""
    before = {"title": old.title, "source": old.source} | clause_texts(old)
    after = {"title": new.title, "source": new.source} | clause_texts(new)
    found = []
    for clause in dict.fromkeys((*before, *after)):
        was, now = before.get(clause), after.get(clause)
        if clause in _NONE and None in (was, now):
            continue  # each entry that comes in its place, or went, is named
        if was is None:
            found.append(f"{clause} is new: {now}")
        elif now is None:
            found.append(f"{clause} is dropped: {was}")
        elif was != now:
            found.append(f"{clause}: {now or 'none'} (was: {was or 'none'})")
    return found


_NONE: Final = ("wait.after", "cap")
"""Clauses that say that there are no entries; where there are, each is a clause."""


def _wait(policy: Policy) -> Iterator[tuple[str, str]]:
    wait = policy.wait
    if not wait.after:
        yield "wait.after", "no wait after a sitting"
    entries = len(wait.after)
    of = f"within {say_duration(wait.within)}" if wait.within else "of a series"
    for number, duration in enumerate(wait.after, start=1):
        which = f"the {ordinal_word(number)} sitting" + (
            " and later ones" if number == entries else ""
        )
        length = say_duration(duration) if duration.amount else "no wait"
        yield wait_clause(number, entries), f"after {which} {of}: {length}"
    yield "wait.from", f"waits run from the {wait.from_} of the sitting"
    yield "wait.days", _DAYS[wait.days]
    yield "wait.zone", f"dates are those of {wait.zone}"
    if wait.within:
        words = "counted back, by dates, from the last sitting of the series, which is one of them"
        yield (
            "wait.within",
            f"the wait goes by the sittings within {say_duration(wait.within)}, {words}",
        )


def _cap(policy: Policy) -> Iterator[tuple[str, str]]:
    if not policy.cap:
        yield "cap", "no limit on the number of sittings"
    for index, cap in enumerate(policy.cap):
        yield cap_clause(index), _cap_words(cap)


def _cap_words(cap: Cap) -> str:
    most = "at most 1 sitting" if cap.sittings == 1 else f"at most {cap.sittings} sittings"
    since = "" if cap.since is None else f", not counting those before {format_instant(cap.since)}"
    return f"{most}{_cap_period(cap)}{since}"


def _cap_period(cap: Cap) -> str:
    if cap.anchor == "calendar-year":
        return " in a calendar year"
    if cap.anchor == "calendar":
        *others, last = map(day_words, cap_starts(cap))
        begin = f"begin on {', '.join(others)} and {last}" if others else f"begin on {last}"
        before = cap.periods - 1
        more = {0: "", 1: " and the one before it"}.get(before, f" and the {before} before it")
        return f" in one period{more}; periods {begin}"
    if cap.period is None:
        return ", for life"
    period = say_duration(cap.period)
    if cap.anchor == "rolling":
        by = ", by dates" if cap.by == "date" else ""
        return f" in any {period}{by}"
    if cap.anchor == "last-sitting":
        return f"; then none until {period} from the date of the last of them"
    return f" in the {period} from the date of the first of a series"


def day_words(start: str) -> str:
    """Return where a period begins in words.

    >>> day_words("07-01"), day_words("2022-12-07")
    ('1 July', '7 December 2022')
    """
    *year, month, day = map(int, start.split("-"))
    return " ".join(map(str, (day, _MONTHS[month - 1], *year)))


def _pass(policy: Policy) -> Iterator[tuple[str, str]]:
    passing = policy.pass_
    yield PASS_RETAKE, _RETAKE[passing.retake]
    if passing.after:
        length = say_duration(passing.after)
        yield PASS_AFTER, f"{length} from the {policy.wait.from_} of the sitting, reckoned as waits"
    if passing.before_expiry:
        length = say_duration(passing.before_expiry)
        words = f"and in the last {length} before it ends, if the pass is older than these"
        yield PASS_BEFORE_EXPIRY, words


def _authorization_and_missed(policy: Policy) -> Iterator[tuple[str, str]]:
    if policy.authorization.required:
        yield AUTHORIZATION_REQUIRED, "a sitting needs an authorization that runs"
        serves = policy.authorization.sittings
        words = {None: "any number of sittings", 1: "1 sitting"}.get(serves, f"{serves} sittings")
        yield "authorization.sittings", f"an authorization serves {words}, unless it says so itself"
    if policy.missed.counts:
        yield "missed.counts", "missed sittings count in waits and caps, as failed ones do"


def _beta(policy: Policy) -> Iterator[tuple[str, str]]:
    beta = policy.beta
    allowed = {0: "no sitting", 1: "1 sitting"}.get(beta.sittings, f"{beta.sittings} sittings")
    yield BETA_SITTINGS, f"{allowed} while the exam is in beta"
    counted = "count" if beta.counts else "do not count"
    yield "beta.counts", f"beta sittings {counted} in waits and caps"
    if beta.results_after_live:
        earliest, latest = map(say_duration, beta.results_after_live)
        words = f"a beta result comes {earliest} to {latest} after the exam is live"
        yield BETA_RESULTS_AFTER_LIVE, words
    if beta.overdue_after_live:
        overdue = say_duration(beta.overdue_after_live)
        words = f"a beta result that has not come {overdue} after live no longer blocks"
    else:
        words = "a beta result that has not come keeps blocking"
    yield BETA_OVERDUE_AFTER_LIVE, words


def _exception(policy: Policy) -> Iterator[tuple[str, str]]:
    exception = policy.exception
    if not exception.waives:
        yield "exception.waives", "no exception is offered"
        return
    *others, last = (_WAIVED[each] for each in exception.waives)
    waived = f"{', '.join(others)} and {last}" if others else last
    yield "exception.waives", f"an exception may waive {waived}"
    yield "exception.reasons", ", ".join(exception.reasons)
    yield "exception.required", ", ".join(exception.required) or "nothing but the request itself"


def ordinal_word(number: int) -> str:
    """Return which one: 1st, 2nd, 3rd, 4th, 11th, 21st."""
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else suffix}"
