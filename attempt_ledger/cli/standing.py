"""`standing`: may this candidate sit this exam, why not, and from when."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli import pages
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import AsOf, Format, FormatOption, KnownAt, command
from attempt_ledger.cli.output import put, put_now, say
from attempt_ledger.cli.pages import (
    Columns,
    Part,
    Stack,
    Text,
    block,
    columns,
    labelled,
    page,
    text,
)
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import instant, known, zone
from ledger.fields import read_object
from ledger.problems import MalformedFact
from projections.answers import PolicyUsed, Problem, Reason, Sitting, Standing
from projections.catalogue import Catalogue
from projections.problems import nearest
from projections.remarks import Remarks, remarks_of
from projections.sentences import IN_UTC, Show, shown_in
from projections.standing import Moment, overdue_since
from replay.snapshot import Snapshot, UnansweredMoment, snapshot_at

_LONGEST = 1 << 16
"""Of a question, in bytes."""


@command(
    "standing",
    examples="""
    attempt-ledger standing C-1001 AZ-104
    attempt-ledger standing C-1001 AZ-104 --as-of 2021-03-15T08:59:59Z
    attempt-ledger standing C-1001 AZ-104 --as-of 2021-03-12 --known-at 2021-03-12
    attempt-ledger standing C-1001 AZ-104 --known-at @42 --format json
    attempt-ledger standing C-1001 --zone Europe/Berlin
    echo '{"candidate":"C-1001","exam":"AZ-104"}' | attempt-ledger standing --stdin
    """,
)
def standing(
    context: typer.Context,
    candidate: Annotated[
        str | None, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")
    ] = None,
    exam: Annotated[
        str | None,
        typer.Argument(
            metavar="EXAM", help="The exam's code. Left out: every exam with a sitting."
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    zone_name: Annotated[
        str | None,
        typer.Option(
            "--zone",
            metavar="ZONE",
            help="Read and write instants on this zone's clock, such as Europe/Berlin; in JSON "
            "those in sentences alone. Default: UTC, and the clock of the policy's zone beside it.",
        ),
    ] = None,
    stdin: Annotated[
        bool,
        typer.Option(
            "--stdin",
            help="Answer JSON lines on standard input, each with the members candidate, exam and "
            "perhaps as_of and known_at, with JSON lines, in order and at once.",
        ),
    ] = False,
    format: FormatOption = Format.text,
) -> int:
    """Show if a candidate may sit an exam, why not, and from when.

    The answer is for one valid time (--as-of) on the knowledge of one system time (--known-at). Of
    a candidate of whom nothing is recorded it is that of somebody who never sat. JSON is one
    object; without EXAM an array of them, sorted by exam. The exit code is 1 where an exam is not
    in the catalogue.

    With --stdin one process answers many questions: a line that is no question is answered with
    {"error": "…"}, and the exit code is 1 then.
    """
    if stdin == (candidate is not None):
        raise CallProblem("name a CANDIDATE, or give --stdin and questions on standard input")
    now = clock.now()
    clock_of = None if zone_name is None else zone(zone_name)
    at = now if as_of is None else instant("--as-of", as_of, clock_of)
    wanted = known(known_at, zone=clock_of)
    show = None if clock_of is None else shown_in(clock_of, str(zone_name))
    with call_of(context).open() as ledger:
        snapshot = snapshot_at(ledger, at, wanted, now=now)
        if candidate is None:
            return answer_lines(snapshot, as_of, known_at, show)
        history = snapshot.history(candidate, exam)
        if exam is None:
            answers = snapshot.standings(candidate, show=show, history=history)
        else:
            answers = (snapshot.standing(candidate, exam, show=show, history=history),)
            check_order(candidate, answers[0], snapshot)
        if not any(answer.known for answer in answers) and not snapshot.events(candidate):
            say(f"No candidate {candidate!r} in this ledger: answered like one who never sat.")
        if format is Format.json:
            lines = [answer.model_dump_json() for answer in answers]
            put(f"{lines[0]}\n" if exam is not None else f"[{','.join(lines)}]\n")
        else:
            catalogue = snapshot.catalogue
            pairs = [(each, remarks_of(each, history, catalogue, show)) for each in answers]
            if exam is not None:
                pages.show(one_standing(*pairs[0], catalogue, show or IN_UTC))
            else:
                moment = snapshot.moment
                pages.show(all_standings(candidate, pairs, catalogue, moment, show or IN_UTC))
        unknown = [answer.exam for answer in answers if answer.status == "unknown-exam"]
        for code in unknown:
            near = nearest(code, snapshot.catalogue)
            if near == code:  # it was not there then, or follows what is no policy yet
                say(f"{code}, or the policy it follows, was not in the catalogue at that time")
            else:
                hint = "" if near is None else f": did you mean {near}?"
                say(f"{code or repr(code)} is not in the catalogue{hint}")
    return REFUSED if unknown else DONE


def answer_lines(
    snapshot: Snapshot, as_of: str | None, known_at: str | None, show: Show | None
) -> int:
    """Answer each line of standard input with a line, at once; return the exit code."""
    code, usual = DONE, {"as_of": as_of, "known_at": known_at}
    while line := sys.stdin.buffer.readline(_LONGEST):
        try:
            answer = answered(snapshot, usual | question(line), show).model_dump_json()
        except (CallProblem, MalformedFact, UnansweredMoment) as problem:
            code = REFUSED
            answer = json.dumps({"error": str(problem)}, ensure_ascii=False)
        put_now(f"{answer}\n")
    return code


def question(line: bytes) -> dict[str, str | None]:
    """Read a question; raises MalformedFact, or CallProblem for what it does not say."""
    if len(line) == _LONGEST and not line.endswith(b"\n"):
        while line and not line.endswith(b"\n"):
            line = sys.stdin.buffer.readline(_LONGEST)
        raise CallProblem(f"this line is longer than {_LONGEST:,} bytes")
    members = read_object(line)
    if other := members.keys() - {"candidate", "exam", "as_of", "known_at"}:
        raise CallProblem(f"a question has no member {', '.join(sorted(other))}")
    for name in ("candidate", "exam", *members):
        if not isinstance(members.get(name), str) or not members[name]:
            raise CallProblem(f"{name} is missing, or no text")
    return members


def answered(snapshot: Snapshot, members: dict[str, str | None], show: Show | None) -> Standing:
    """Answer a question on what is known when it arrives."""
    now, as_of = clock.now(), members["as_of"]
    at = now if as_of is None else instant("as_of", as_of)
    then = snapshot.bind(at, known(members["known_at"], "known_at"), now=now)
    return then.standing(str(members["candidate"]), str(members["exam"]), show=show)


def check_order(candidate: str, answer: Standing, snapshot: Snapshot) -> None:
    """Raise CallProblem where candidate and exam were named in the wrong order."""
    if answer.known or answer.status != "unknown-exam":
        return
    if nearest(candidate, snapshot.catalogue) == candidate and snapshot.events(answer.exam):
        raise CallProblem(
            f"{candidate} is an exam and {answer.exam} a candidate: write standing {answer.exam} "
            f"{candidate}"
        )


_OUTCOME_STYLES = {
    "passed": pages.GREEN,
    "failed": pages.RED,
    "pending": pages.WAIT,
    "revoked": pages.RED,
    "missed": pages.RED,
}


def one_standing(standing: Standing, remarks: Remarks, catalogue: Catalogue, show: Show) -> Stack:
    """Show one standing; `catalogue` must hold all that is known at its position.

    `show` writes the instants of the question, those of the answer are written as its remarks say.
    """
    overdue = overdue_since(standing, catalogue)
    local = remarks.show
    return page(
        Stack(
            text(f"{standing.candidate}, {standing.exam}", pages.HEAD),
            verdict(standing, remarks),
        ),
        reasons("Why", standing.reasons, standing.policy, local),
        reasons("Waived by an exception", standing.waived, standing.policy, local),
        sittings(standing, overdue, remarks),
        named("Certifications", remarks.certifications),
        named("Requests for exceptions", remarks.requests),
        problems(standing.problems),
        labelled(footer(standing, show, local)),
    )


def named(heading: str, pairs: Sequence[tuple[str, str]]) -> Stack | None:
    """Show ids and what there is to say of each."""
    if not pairs:
        return None
    return block(heading, columns([(Text(id, pages.WAIT), text(words)) for id, words in pairs]))


def all_standings(
    candidate: str,
    standings: Sequence[tuple[Standing, Remarks]],
    catalogue: Catalogue,
    moment: Moment,
    show: Show,
) -> Stack:
    """Show a candidate's standings in short: each verdict and its sentences."""
    moment_below = labelled(
        pages.moment_lines(moment.as_of, moment.known_at, moment.position, show)
    )
    if not standings:
        nothing = f"{candidate} has no sitting that is visible then; name an exam to ask about it."
        return page(text(nothing), moment_below)
    return page(
        text(candidate, pages.HEAD),
        *(in_short(*each, overdue_since(each[0], catalogue)) for each in standings),
        moment_below,
    )


def in_short(standing: Standing, remarks: Remarks, overdue: int | None) -> Stack:
    """Return the verdict and its sentences."""
    line = Text(standing.exam, pages.HEAD, Text("  "), verdict(standing, remarks))
    sentences = [reason.text for reason in (*standing.reasons, *standing.waived)]
    if overdue is not None and any(is_awaited_beta(each) for each in standing.sittings):
        sentences.append(f"Taken in beta, result overdue since {remarks.show(overdue)}.")
    sentences += [f"{id}: {words}." for id, words in remarks.corrected.items()]
    sentences += [f"Request {id}: {words}." for id, words in remarks.requests]
    sentences += [f"Problem: {problem.text}" for problem in standing.problems]
    return Stack(line, Stack(*map(text, sentences), indent=2))


def verdict(standing: Standing, remarks: Remarks) -> Text:
    """Return eligible or not, the first reason, and from when, by which steps."""
    if standing.eligible:
        return Text("Eligible, by an exception." if standing.waived else "Eligible.", pages.GOOD)
    when = " As things stand, it cannot be retaken on any date"
    if standing.eligible_from is not None:
        when = f" Eligible from {remarks.show(standing.eligible_from)}"
    when += f": {remarks.steps}." if remarks.steps else "."
    return Text(f"Not eligible: {standing.status.replace('-', ' ')}.", pages.BAD, Text(when))


def reasons(
    heading: str, listed: Sequence[Reason], policy: PolicyUsed | None, show: Show
) -> Stack | None:
    """Show reasons: the sentence, then where it comes from and what caused it."""
    if not listed:
        return None
    return block(heading, *(reason(each, policy, show) for each in listed))


def reason(reason: Reason, policy: PolicyUsed | None, show: Show) -> Columns:
    """Show one reason: its sentence, and below that what is behind it."""
    details: list[tuple[str, str]] = []
    if reason.until is not None:
        details.append(("until", show(reason.until)))
    if reason.expected is not None:
        details.append(("expected", " to ".join(map(show, reason.expected))))
    if reason.clause is not None:
        details.append(("rule", f"{reason.clause}{_of(policy, reason.clause, show)}"))
    return entry(reason, details)


def problems(listed: Sequence[Problem]) -> Stack | None:
    """Show what does not fit of the facts: the sentence, then the events."""
    return block("Problems", *(entry(each, []) for each in listed)) if listed else None


def entry(each: Reason | Problem, details: Sequence[tuple[str, str]]) -> Columns:
    """Show a code, and beside it its sentence above the details and the events."""
    events = [("event", f"{cause.source} {cause.id}") for cause in each.because]
    lines: list[Part] = [text(each.text)]
    if details or events:
        lines.append(labelled([*details, *events]))
    return columns([(Text(each.code, pages.WAIT), Stack(*lines))], whole=(0,))


def _of(policy: PolicyUsed | None, clause: str, show: Show) -> str:
    if policy is None or clause.startswith("exam."):
        return ""
    return f" of {policy.id}, effective from {show(policy.effective_from)}"


def sittings(standing: Standing, overdue: int | None, remarks: Remarks) -> Stack:
    """Show the sittings, each with its ordinal if it is counted; a line parts the series."""
    if not standing.sittings:
        return block("Sittings", text("none"))
    rows: list[tuple[str | Part, ...]] = []
    for each in standing.sittings:
        if each.registration_id in remarks.new_series:
            rows.append(("", text("-- new series --", pages.QUIET), "", ""))
        nth = "-" if each.ordinal is None else str(each.ordinal)
        started = remarks.show(each.started_at)
        rows.append((nth, started, outcome(each, overdue, remarks), each.registration_id))
    return block(
        "Sittings",
        columns(rows, head=("nth", "started", "outcome", "registration"), right=(0,)),
        text(series(standing, remarks.show), pages.QUIET),
    )


def outcome(sitting: Sitting, overdue: int | None, remarks: Remarks) -> Text:
    """Return how a sitting ended; a beta without a result is pending or overdue, never failed."""
    show = remarks.show
    words = remarks.corrected.get(sitting.registration_id, sitting.outcome)
    if words == "pending":
        words = "result pending"
        if overdue is not None and is_awaited_beta(sitting):
            words = f"result overdue since {show(overdue)}"
    elif sitting.outcome_at not in (None, sitting.started_at):
        words += f" {show(sitting.outcome_at or 0)}"
    beta = "beta, " if sitting.delivery == "beta" else ""
    return text(f"{beta}{words}", _OUTCOME_STYLES[sitting.outcome])


def is_awaited_beta(sitting: Sitting) -> bool:
    """Return whether it is a beta sitting whose result has not come."""
    return sitting.delivery == "beta" and sitting.outcome == "pending"


def series(standing: Standing, show: Show) -> str:
    """Return how far the series is, and until when its period runs."""
    count = standing.sittings_in_series
    if count == 0:
        return "A sitting now would be the first of a new series."
    ends = standing.period_ends_at
    period = "" if ends is None else f", in the period that ends {show(ends)}"
    return f"{count} in the series{period}."


def footer(standing: Standing, show: Show, local: Show) -> Iterator[tuple[str, str]]:
    """Yield what comes next, and what the answer was computed from."""
    if standing.next_change_at is not None:
        yield "next change", local(standing.next_change_at)
    yield from pages.moment_lines(standing.as_of, standing.known_at, standing.position, show)
    policy = standing.policy
    if policy is not None:
        assumed = ", assumed before its first day" if policy.assumed else ""
        yield "policy", f"{policy.id}, effective from {show(policy.effective_from)}{assumed}"
        yield "sha256", policy.sha256
