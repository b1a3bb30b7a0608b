"""The audit commands: events, history, backdated, annulments, exceptions."""

from __future__ import annotations

from typing import Annotated

import typer

from attempt_ledger.cli.audit.asking import (
    ActorOption,
    CandidateOption,
    Delivery,
    FormatOption,
    RecordedFrom,
    RecordedTo,
    SourceOption,
    SubjectOption,
    TypeOption,
    ValidFrom,
    ValidTo,
    answer,
    conditions,
)
from attempt_ledger.cli.delivering import ReceiptFile
from attempt_ledger.cli.everybody import ExamOption
from attempt_ledger.cli.options import KnownAt, Output, command


@command(
    "audit events",
    examples="""
    attempt-ledger audit events --actor cli --recorded-from 2022-06-01 --recorded-to 2022-07-01
    attempt-ledger audit events --source urn:vue --type ResultRevoked --type EventAnnulled
    attempt-ledger audit events --exam AZ-104 --valid-from 2022-03-01 --output march.csv
    """,
)
def events(
    context: typer.Context,
    candidate: CandidateOption = None,
    subject: SubjectOption = None,
    exam: ExamOption = None,
    type: TypeOption = None,
    actor: ActorOption = None,
    source: SourceOption = None,
    recorded_from: RecordedFrom = None,
    recorded_to: RecordedTo = None,
    valid_from: ValidFrom = None,
    valid_to: ValidTo = None,
    known_at: KnownAt = None,
    format: FormatOption = None,
    output: Output = None,
    receipt: ReceiptFile = None,
) -> int:
    """List events: who recorded what, and when.

    Intervals are from inclusive, to exclusive. Annulled events are listed too, with the position of
    what annulled them. What they say is not in it: `export` and `prove` give it.
    """
    asked = conditions(
        candidate=candidate, subject=subject, exam=exam, types=tuple(type or ()),
        actor=actor, source=source, recorded_from=recorded_from, recorded_to=recorded_to,
        valid_from=valid_from, valid_to=valid_to,
    )  # fmt: skip
    return answer(context, "events", asked, Delivery(known_at, format, output, receipt))


@command(
    "audit history",
    examples="""
    attempt-ledger audit history C-1001
    attempt-ledger audit history C-1001 --exam AZ-104 --known-at @700 --format json
    """,
)
def history(
    context: typer.Context,
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")],
    exam: ExamOption = None,
    known_at: KnownAt = None,
    format: FormatOption = None,
    output: Output = None,
    receipt: ReceiptFile = None,
) -> int:
    """Show each event of a candidate with what it changed.

    For each exam that it bears on, the standing as of when the event was recorded: as known just
    before it, and with it. What is personal is sealed, or erased if the candidate was forgotten.
    """
    asked = conditions(candidate=candidate, exam=exam)
    return answer(context, "history", asked, Delivery(known_at, format, output, receipt))


@command(
    "audit backdated",
    examples="""
    attempt-ledger audit backdated --by P7D
    attempt-ledger audit backdated --by PT36H --recorded-from 2022-06-01 --changes
    """,
)
def backdated(
    context: typer.Context,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="DURATION",
            help="The threshold, in days of 24 hours (P7D) or time (PT36H).",
        ),
    ] = "P7D",
    changes: Annotated[
        bool,
        typer.Option(
            "--changes",
            help="Tell also whether each changed the standing of its candidate as of any instant "
            "before it was recorded. Takes some milliseconds a fact.",
        ),
    ] = False,
    candidate: CandidateOption = None,
    subject: SubjectOption = None,
    exam: ExamOption = None,
    type: TypeOption = None,
    actor: ActorOption = None,
    source: SourceOption = None,
    recorded_from: RecordedFrom = None,
    recorded_to: RecordedTo = None,
    valid_from: ValidFrom = None,
    valid_to: ValidTo = None,
    known_at: KnownAt = None,
    format: FormatOption = None,
    output: Output = None,
    receipt: ReceiptFile = None,
) -> int:
    """List facts recorded long after they were true.

    Longer after than the threshold, and not just as long; the latest first.
    """
    asked = conditions(
        candidate=candidate, subject=subject, exam=exam, types=tuple(type or ()),
        actor=actor, source=source, recorded_from=recorded_from, recorded_to=recorded_to,
        valid_from=valid_from, valid_to=valid_to, by=by, changes=changes,
    )  # fmt: skip
    return answer(context, "backdated", asked, Delivery(known_at, format, output, receipt))


@command(
    "audit annulments",
    examples="""
    attempt-ledger audit annulments
    attempt-ledger audit annulments --actor cli --type ExamFailed --format csv
    """,
)
def annulments(
    context: typer.Context,
    candidate: CandidateOption = None,
    subject: SubjectOption = None,
    exam: ExamOption = None,
    type: TypeOption = None,
    actor: ActorOption = None,
    source: SourceOption = None,
    recorded_from: RecordedFrom = None,
    recorded_to: RecordedTo = None,
    valid_from: ValidFrom = None,
    valid_to: ValidTo = None,
    known_at: KnownAt = None,
    format: FormatOption = None,
    output: Output = None,
    receipt: ReceiptFile = None,
) -> int:
    """List who annulled what, when and why.

    --type, --exam and --valid-… are about what was annulled; --actor, --source and --recorded-…
    about the annulment.
    """
    asked = conditions(
        candidate=candidate, subject=subject, exam=exam, types=tuple(type or ()),
        actor=actor, source=source, recorded_from=recorded_from, recorded_to=recorded_to,
        valid_from=valid_from, valid_to=valid_to,
    )  # fmt: skip
    return answer(context, "annulments", asked, Delivery(known_at, format, output, receipt))


@command(
    "audit exceptions",
    examples="""
    attempt-ledger audit exceptions --exam AZ-104
    attempt-ledger audit exceptions --actor desk --recorded-from 2022-06-01 --output june.xlsx
    """,
)
def exceptions(
    context: typer.Context,
    candidate: CandidateOption = None,
    subject: SubjectOption = None,
    exam: ExamOption = None,
    actor: ActorOption = None,
    source: SourceOption = None,
    recorded_from: RecordedFrom = None,
    recorded_to: RecordedTo = None,
    valid_from: ValidFrom = None,
    valid_to: ValidTo = None,
    known_at: KnownAt = None,
    format: FormatOption = None,
    output: Output = None,
    receipt: ReceiptFile = None,
) -> int:
    """List decisions on exceptions, with rule and facts.

    The request, the policy in force, the sitting named and the standing are those known just before
    the decision was recorded, as of its time. A decision against the rule is flagged. Whether a
    grant was used since is by what is known at --known-at.
    """
    asked = conditions(
        candidate=candidate, subject=subject, exam=exam,
        actor=actor, source=source, recorded_from=recorded_from, recorded_to=recorded_to,
        valid_from=valid_from, valid_to=valid_to,
    )  # fmt: skip
    return answer(context, "exceptions", asked, Delivery(known_at, format, output, receipt))
