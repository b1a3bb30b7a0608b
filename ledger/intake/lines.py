"""CloudEvents lines as facts: one JSON object a line, blank lines passed over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from ledger.events import Fact
from ledger.intake.report import LINE, PROBLEM
from ledger.intake.sources import Source
from ledger.problems import MalformedFact
from ledger.wire import parse_line


class Line(NamedTuple):
    """One line that is not blank, as it stands in the input: a fact, or why it is none."""

    number: int
    text: str
    fact: Fact | None
    problem: str


def read_lines(source: Source, *, actor: str | None = None) -> Iterator[Line]:
    """Hand out the lines in order; `actor` is who recorded what names none itself."""
    for number, text in enumerate(source.lines(), start=1):
        if source.faults and (fault := source.faults.pop(number, None)):
            yield Line(number, text, None, f"the line {fault}")
        elif text and not text.isspace():
            try:
                fact = parse_line(mended(text) if PROBLEM in text else text)
            except MalformedFact as problem:
                yield Line(number, text, None, str(problem))
            else:
                if actor is not None and fact.actor is None:
                    fact = fact._replace(actor=actor)
                yield Line(number, text, fact, "")


def mended(text: str) -> str:
    """Return a line of a rejects file as it was before its member `problem` was added.

    A line that was no JSON object then is taken out of the member `line` again.
    """
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(members, dict) or PROBLEM not in members:
        return text
    del members[PROBLEM]
    if members.keys() == {LINE} and isinstance(members[LINE], str):
        line: str = members[LINE]
        return line
    return json.dumps(members, ensure_ascii=False)
