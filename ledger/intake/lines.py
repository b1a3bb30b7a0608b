"""CloudEvents lines as facts: one JSON object a line, blank lines passed over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from ledger.cloudevents import parse_line
from ledger.events import Fact
from ledger.intake.items import Item
from ledger.intake.report import LINE, PROBLEM
from ledger.intake.sources import Source
from ledger.problems import MalformedFact

Check = Callable[[Fact], str | None]
"""Say what is wrong with a fact that `ledger` cannot judge, such as a policy; None if nothing."""


def read_lines(
    source: Source, *, actor: str | None = None, check: Check | None = None
) -> Iterator[Item]:
    """Hand out every line that is not blank, sound or not, in order; raises BrokenSource.

    `actor` is who recorded what names none itself.
    """
    for number, text in enumerate(source.lines(), start=1):
        if source.faults and (fault := source.faults.pop(number, None)):
            yield Item(number, text, (), f"the line {fault}")
        elif text and not text.isspace():
            try:
                fact = parse_line(mended(text) if PROBLEM in text else text.rstrip())
                if actor is not None and fact.actor is None:
                    fact = fact._replace(actor=actor)
                if check is not None and (wrong := check(fact)):
                    raise MalformedFact(wrong)
                yield Item(number, text, (fact.row(),), kept=fact.recorded_at)
            except MalformedFact as problem:
                yield Item(number, text, (), str(problem))


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
