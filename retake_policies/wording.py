"""The words of a policy: the names of its clauses, and what each means."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Final

from retake_policies.durations import say_duration
from retake_policies.fields import format_instant
from retake_policies.schema import Cap, Policy

PASS_RETAKE: Final = "pass.retake"
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
}


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
    return dict([*_wait(policy), *_cap(policy), *_pass_and_beta(policy), *_exception(policy)])


def changes(old: Policy, new: Policy) -> list[str]:
    """Return what differs between two versions of a policy, a sentence a clause, in their order."""
    before = {"title": old.title, "source": old.source} | clause_texts(old)
    after = {"title": new.title, "source": new.source} | clause_texts(new)
    found = []
    for clause in dict.fromkeys((*before, *after)):
        was, now = before.get(clause), after.get(clause)
        if was is None:
            found.append(f"{clause} is new: {now}")
        elif now is None:
            found.append(f"{clause} is dropped: {was}")
        elif was != now:
            found.append(f"{clause}: {now or 'none'} (was: {was or 'none'})")
    return found


def _wait(policy: Policy) -> Iterator[tuple[str, str]]:
    wait = policy.wait
    if not wait.after:
        yield "wait.after", "no wait after a sitting"
    entries = len(wait.after)
    for number, duration in enumerate(wait.after, start=1):
        which = f"the {ordinal_word(number)} sitting" + (
            " and later ones" if number == entries else ""
        )
        length = say_duration(duration) if duration.amount else "no wait"
        yield wait_clause(number, entries), f"after {which} of a series: {length}"
    yield "wait.from", f"waits run from the {wait.from_} of the sitting"
    yield "wait.days", _DAYS[wait.days]
    yield "wait.zone", f"dates are those of {wait.zone}"


def _cap(policy: Policy) -> Iterator[tuple[str, str]]:
    if not policy.cap:
        yield "cap", "no limit on the number of sittings"
    for index, cap in enumerate(policy.cap):
        yield cap_clause(index), _cap_words(cap)


def _cap_words(cap: Cap) -> str:
    most = "at most 1 sitting" if cap.sittings == 1 else f"at most {cap.sittings} sittings"
    if cap.anchor == "calendar-year":
        return f"{most} in a calendar year"
    if cap.period is None:
        return f"{most}, for life"
    period = say_duration(cap.period)
    if cap.anchor == "rolling":
        return f"{most} in any {period}"
    if cap.anchor == "last-sitting":
        return f"{most}; then none until {period} from the date of the last of them"
    return f"{most} in the {period} from the date of the first of a series"


def _pass_and_beta(policy: Policy) -> Iterator[tuple[str, str]]:
    beta = policy.beta
    yield PASS_RETAKE, _RETAKE[policy.pass_.retake]
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
        words = f"a beta result that has not come {overdue} after live blocks no longer"
    else:
        words = "a beta result that has not come blocks on"
    yield BETA_OVERDUE_AFTER_LIVE, words


def _exception(policy: Policy) -> Iterator[tuple[str, str]]:
    exception = policy.exception
    if not exception.waives:
        yield "exception.waives", "no exception is offered"
        return
    yield "exception.waives", f"an exception may waive the {' and the '.join(exception.waives)}"
    yield "exception.reasons", ", ".join(exception.reasons)
    yield "exception.required", ", ".join(exception.required) or "nothing but the request itself"


def ordinal_word(number: int) -> str:
    """Return which one: 1st, 2nd, 3rd, 4th, 11th, 21st."""
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else suffix}"
