"""`policy new`: a policy file to begin with, from options, or asked for on a terminal."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from attempt_ledger.cli.options import command
from attempt_ledger.cli.output import say, text_to
from attempt_ledger.cli.problems import DONE, CallProblem
from attempt_ledger.cli.replacing import check_new
from retake_policies.drafting import draft
from retake_policies.schema import PolicyError

Tree = dict[str, Any]
_ANCHORS: Final = ("first-sitting", "last-sitting", "rolling", "calendar", "calendar-year")


class Question(NamedTuple):
    """What a terminal is asked where no option says it."""

    option: str
    words: str
    default: str = ""
    needs: Callable[[Mapping[str, Any]], bool] = lambda answers: True
    """Whether it bears on what was answered before."""


QUESTIONS: Final = (
    Question("id", "A short name for the policy, such as our-exams"),
    Question("title", "Its title, for people"),
    Question("source", "Where the rules are written, with the date of the text"),
    Question("effective_from", "From which day they hold (2024-01-31, or with a time and offset)"),
    Question(
        "wait",
        "Waits after the 1st, 2nd … failure, the last repeats (PT24H P14D P6M; empty: none)",
    ),
    Question(
        "days",
        "What a day is: elapsed (24 hours), calendar (dates: 1 to 15 March are 14 days) or clear "
        "(14 whole days in between: free on the 16th)",
        "elapsed",
        lambda answers: any(not each.startswith("PT") for each in answers.get("wait") or ()),
    ),
    Question("zone", "Whose dates they are, a name of the IANA list", "UTC"),
    Question(
        "cap",
        "Limits, such as 5/P12M (in the 12 months from the first), 4/P2Y/rolling/date, "
        "3/calendar-year or 6 (for life); empty: none",
    ),
    Question(
        "retake",
        "May a passed exam be taken again: after-expiry of its certification, never, always, or "
        "after a time",
        "after-expiry",
    ),
    Question(
        "after", "How long after a pass (P2Y)", "", lambda answers: answers["retake"] == "after"
    ),
    Question(
        "before_expiry",
        "In how long a time before the certification ends already (P60D; empty: not before)",
        "",
        lambda answers: answers["retake"] == "after-expiry",
    ),
)
_SEVERAL: Final = ("wait", "cap")


@command(
    "policy new",
    examples="""
    attempt-ledger policy new our-rules.toml
    attempt-ledger policy new our-rules.toml --id ours --effective-from 2024-01-01 \\
      --wait P14D --wait P14D --wait P60D --days calendar --cap 4/P2Y/rolling/date \\
      --before-expiry P60D
    """,
)
def new(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Its short name.")] = None,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="Its title, for people.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="TEXT", help="Where the rules are written, and when."),
    ] = None,
    effective_from: Annotated[
        str | None,
        typer.Option(
            "--effective-from", metavar="T", help="From when it holds; a date is 00:00 UTC."
        ),
    ] = None,
    wait: Annotated[
        list[str] | None,
        typer.Option(
            "--wait",
            metavar="DURATION",
            help="The wait after the 1st, 2nd … failure, such as P14D, PT24H, P6M; repeatable.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="start|end", help="What waits run from: of the sitting."),
    ] = None,
    days: Annotated[
        str | None,
        typer.Option("--days", metavar="elapsed|calendar|clear", help="What a day of a wait is."),
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", metavar="ZONE", help="Whose dates they are.")
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            "--within", metavar="PERIOD", help="Only sittings of so long before lengthen a wait."
        ),
    ] = None,
    cap: Annotated[
        list[str] | None,
        typer.Option(
            "--cap",
            metavar="LIMIT",
            help="A limit: SITTINGS for life, or with /PERIOD and /ANCHOR: 5/P12M, "
            "4/P2Y/rolling/date, 3/calendar/07-01, 2/calendar-year; repeatable.",
        ),
    ] = None,
    retake: Annotated[
        str | None,
        typer.Option(
            "--retake",
            metavar="after-expiry|never|always|after",
            help="May a passed exam be taken again.",
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="PERIOD", help="With --retake after: how long after."),
    ] = None,
    before_expiry: Annotated[
        str | None,
        typer.Option(
            "--before-expiry", metavar="PERIOD", help="Free already so long before the end."
        ),
    ] = None,
    authorization: Annotated[
        bool, typer.Option("--authorization", help="A sitting needs an authorization.")
    ] = False,
    sittings: Annotated[
        int | None,
        typer.Option("--sittings", metavar="N", help="So many sittings one authorization serves."),
    ] = None,
    missed_count: Annotated[
        bool, typer.Option("--missed-count", help="Missed sittings count as failed ones do.")
    ] = False,
    beta_sittings: Annotated[
        int | None, typer.Option("--beta-sittings", metavar="N", help="Sittings while in beta.")
    ] = None,
    waive: Annotated[
        list[str] | None,
        typer.Option(
            "--waive", metavar="wait|cap|passed", help="What exceptions waive; repeatable."
        ),
    ] = None,
    reason: Annotated[
        list[str] | None,
        typer.Option("--reason", metavar="NAME", help="Why one is granted; repeatable."),
    ] = None,
) -> int:
    """Write a policy file to begin with; needs no ledger.

    Each line has what it means beside it. On a terminal you are asked for what no option says, and
    again where an answer is not accepted. Elsewhere --id and --effective-from are needed. A file
    that is there stays, but with --force.
    """
    check_new(output)
    answers: Tree = {
        "id": id,
        "title": title,
        "source": source,
        "effective_from": effective_from,
        "wait": wait,
        "from": start,
        "days": days,
        "zone": zone,
        "within": within,
        "cap": cap,
        "retake": retake,
        "after": after,
        "before_expiry": before_expiry,
        "required": authorization or None,
        "authorization.sittings": sittings,
        "missed": missed_count or None,
        "beta": beta_sittings,
        "waives": waive,
        "reasons": reason,
    }
    if sys.stdin.isatty():
        ask(answers, str(output))
    for option in ("id", "effective_from"):
        if answers[option] is None:
            named = f"--{option.replace('_', '-')}"
            raise CallProblem(f"{named} is missing: give it, or call this on a terminal")
    written = draft(tree_of(answers), str(output))
    with text_to(output) as file:
        file.write(written)
    say(f"{output}: a draft of {answers['id']}; `policy explain {output}` shows what it does")
    return DONE


def ask(answers: Tree, where: str) -> None:
    """Ask a terminal for what no option says, in the order of the file."""
    for question in QUESTIONS:
        if answers[question.option] is not None or not question.needs(answers):
            continue
        while True:
            shown = bool(question.default)
            answered = typer.prompt(
                question.words, default=question.default, show_default=shown, err=True
            )
            answer = answered.split() if question.option in _SEVERAL else answered.strip()
            answers[question.option] = answer or None
            fault = fault_of(answers, question, where)
            if fault is None:
                break
            say(fault)


def fault_of(answers: Tree, question: Question, where: str) -> str | None:
    """Return what is wrong with the answers so far; None if they can go on."""
    if answers[question.option] is None:
        needed = question.option in ("id", "effective_from", "after")
        return "this cannot be left out" if needed else None
    so_far = {"id": "draft", "effective_from": "2000-01-01"}
    so_far |= {key: value for key, value in answers.items() if value is not None}
    if so_far.get("retake") == "after":
        so_far.setdefault("after", "P1Y")  # asked for next
    try:
        draft(tree_of(so_far), where)
    except (CallProblem, PolicyError) as problem:
        return str(problem).splitlines()[0]
    return None


def tree_of(answers: Mapping[str, Any]) -> Tree:
    """Return the values of the file, without what is left out; raises CallProblem."""
    chosen = {key: value for key, value in answers.items() if value not in (None, [])}
    tree: Tree = {key: chosen[key] for key in ("id", "title", "source") if key in chosen}
    tree["effective_from"] = moment(chosen["effective_from"])
    tables: dict[str, dict[str, str]] = {
        "wait": {"wait": "after", "from": "from", "days": "days", "zone": "zone",
                 "within": "within"},
        "pass": {"retake": "retake", "after": "after", "before_expiry": "before_expiry"},
        "authorization": {"required": "required", "authorization.sittings": "sittings"},
        "missed": {"missed": "counts"},
        "beta": {"beta": "sittings"},
        "exception": {"waives": "waives", "reasons": "reasons"},
    }  # fmt: skip
    for table, keys in tables.items():
        values = {name: chosen[option] for option, name in keys.items() if option in chosen}
        if values:
            tree[table] = values
        if table == "wait" and "cap" in chosen:
            tree["cap"] = [cap_of(text) for text in chosen["cap"]]
    return tree


def moment(text: str) -> Any:
    """Read an instant or a date as TOML does; raises CallProblem."""
    text = f"{text}T00:00:00Z" if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) else text
    try:
        return tomllib.loads(f"t = {text}")["t"]
    except (ValueError, RecursionError):
        raise CallProblem(
            f"--effective-from {text!r} is no instant; write one such as 2021-03-31T00:00:00Z"
        ) from None


def cap_of(text: str) -> Tree:
    """Read a limit such as 4/P2Y/rolling/date; raises CallProblem."""
    count, *parts = text.split("/")
    cap: Tree = dict(_part(part, text) for part in parts)
    if not re.fullmatch(r"[0-9]{1,9}", count) or len(cap) < len(parts):
        raise _no_limit(text)
    return {"sittings": int(count), **cap}


def _part(part: str, text: str) -> tuple[str, Any]:
    if part in _ANCHORS:
        return "anchor", part
    if part in ("date", "instant"):
        return "by", part
    if part.startswith("P"):
        return "period", part
    if re.fullmatch(r"[0-9,-]+", part):
        return "starts", part.split(",")
    raise _no_limit(text)


def _no_limit(text: str) -> CallProblem:
    return CallProblem(
        f"--cap {text!r} is no limit; write SITTINGS, then what belongs to it: 5/P12M, "
        "4/P2Y/rolling/date, 3/calendar/07-01, 2/calendar-year, 6 for life"
    )
