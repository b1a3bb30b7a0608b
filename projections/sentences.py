"""Reasons as sentences that a candidate can read. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from projections.fold.facts import NEVER, NONE
from retake_policies.durations import DAYS, Duration, say_duration
from retake_policies.schema import Cap, Policy

Show = Callable[[int], str]
"""How an instant (microseconds UTC) is written in a sentence."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shown_in(zone: tzinfo = UTC, name: str = "UTC") -> Show:
    """Make a `Show` for a zone: `2021-03-15 09:00 UTC`, finer only where it has to be."""

    def show(instant: int) -> str:
        local = (EPOCH + timedelta(microseconds=instant)).astimezone(zone)
        fine = "microseconds" if local.microsecond else "seconds" if local.second else "minutes"
        return f"{local.replace(tzinfo=None).isoformat(' ', fine)} {name}"

    return show


IN_UTC = shown_in()


def ordinal_word(number: int) -> str:
    """Return which one: 1st, 2nd, 3rd, 4th, 11th, 21st."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def times(count: int) -> str:
    """Return how often: once, twice, 3 times."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def span(first: Duration, last: Duration) -> str:
    """Say a range of two durations: 7 to 10 days."""
    if first.unit == last.unit == DAYS:
        return f"{first.amount} to {say_duration(last)}"
    return f"{say_duration(first)} to {say_duration(last)}"


def unknown_exam(exam: str, policy: str | None, unreadable: str | None) -> str:
    """Say that the exam, or its policy, is not in the catalogue."""
    if policy is None:
        return f"{exam} is not in the catalogue that was known."
    if unreadable is not None:
        return (
            f"{exam} follows the policy {policy}, whose published text cannot be read: {unreadable}"
        )
    return f"{exam} follows the policy {policy}, which was not published as far as was known."


def retired(exam: str, at: int, show: Show) -> str:
    """Return since when the exam is retired."""
    return f"{exam} was retired on {show(at)} and cannot be taken any more."


def not_open(exam: str, until: int, live: bool, show: Show) -> str:
    """Return when the exam opens, for beta or for good."""
    return (
        f"{exam} is not open yet: it {'goes live' if live else 'opens for beta'} on {show(until)}."
    )


def passed(exam: str, at: int, retake: str, running_until: int, show: Show) -> str:
    """Return what a pass stands in the way of, and for how long."""
    start = f"You passed {exam} on {show(at)}"
    if retake == "never":
        return f"{start}; an exam that was passed cannot be taken again."
    if running_until == NONE:
        return (
            f"{start}; it can be taken again only after a certification it counts toward has "
            "been earned and has expired."
        )
    if running_until == NEVER:
        return f"{start}, and your certification does not expire, so it cannot be taken again."
    return (
        f"{start}; it cannot be taken again before your certification expires, on "
        f"{show(running_until)}."
    )


def beta_result(exam: str, at: int, policy: Policy, live_at: int, expected: tuple[int, ...],
                live: bool, show: Show) -> str:  # fmt: skip
    """Say that a beta result is pending and when it usually comes; never that it failed."""
    said = f"You took {exam} in beta on {show(at)}; the result is pending"
    usual = policy.beta.results_after_live
    if usual is not None:
        said += f", usually {span(*usual)} after the exam goes live"
    if live_at == NEVER:
        return f"{said}. The live date is not known yet."
    if expected:
        return f"{said}: expected between {show(expected[0])} and {show(expected[1])}."
    return f"{said}. The exam {'went' if live else 'goes'} live on {show(live_at)}."


def beta_taken(exam: str, policy: Policy, pending: str | None) -> str:
    """Say that the beta sittings allowed are used."""
    allowed = policy.beta.sittings
    if allowed == 0:
        return (
            f"{exam} is in beta, and no beta sittings are offered; it can be taken once it is live."
        )
    said = f"{exam} is in beta and may be taken only {times(allowed)} in that time."
    return f"{said} {pending}" if pending else said


def result_pending(exam: str, at: int, show: Show) -> str:
    """Say that the result of a live sitting has not come."""
    return f"The result of your sitting of {exam} on {show(at)} has not come yet."


def cap_reached(exam: str, cap: Cap, count: int, since: int, until: int, show: Show) -> str:
    """Return which cap is used up, and until when."""
    start = f"You have taken {exam} {times(count)}"
    allowed = f"the most allowed is {cap.sittings}"
    if cap.anchor == "calendar-year":
        return f"{start} this calendar year; {allowed}, until {show(until)}."
    if cap.period is None:
        return f"{start} in all; {allowed}."
    period = say_duration(cap.period)
    if cap.anchor == "rolling":
        return f"{start} within {period}; {allowed}, until {show(until)}."
    if cap.anchor == "last-sitting":
        return f"{start}; {allowed}, then none for {period} from the last, until {show(until)}."
    return (
        f"{start} in the {period} that began with the sitting of {show(since)}; {allowed}, "
        f"until {show(until)}."
    )


def waiting(ordinal: int, at: int, wait: Duration, until: int, show: Show) -> str:
    """Return how long the wait after a sitting is, and until when.

    Not that the exam may be taken then: another reason may stand beside this one.
    """
    return (
        f"After your {ordinal_word(ordinal)} sitting, on {show(at)}, the wait is "
        f"{say_duration(wait)}, until {show(until)}."
    )


def waived(text: str, valid_until: int, show: Show) -> str:
    """Return of a reason that an exception waives it."""
    if valid_until == NEVER:
        return f"{text} An exception waives this for one sitting."
    return f"{text} An exception waives this for one sitting before {show(valid_until)}."
