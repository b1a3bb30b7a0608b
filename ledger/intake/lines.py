"""CloudEvents lines as facts: one JSON object a line, blank lines passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ledger.cloudevents import parse_line
from ledger.events import Fact
from ledger.intake.items import Item
from ledger.intake.report import PROBLEM, mended, unexpected
from ledger.intake.sources import Source
from ledger.problems import MalformedFact

Check = Callable[[Fact], str | None]
"""Say what is wrong with a fact that `ledger` cannot judge, such as a policy; None if nothing."""


def read_lines(
    source: Source,
    *,
    actor: str | None = None,
    check: Check | None = None,
    as_recorded: bool = False,
) -> Iterator[Item]:
    """Yield every line that is not blank, sound or not, in order; raises BrokenSource.

    `actor` is who recorded what names none itself. Lines that are taken `as_recorded`, a history,
    may hold ids that are refused of new facts.
    """
    for number, text in enumerate(source.lines(), start=1):
        if source.faults and (fault := source.faults.pop(number, None)):
            yield Item(number, text, (), f"the line {fault}")
        elif text and not text.isspace():
            try:
                fact = parse_line(mended(text) if PROBLEM in text else text.rstrip())
                if actor is not None and fact.actor is None:
                    fact = fact._replace(actor=actor)
                wrong = None if check is None else check(fact)
                rows = () if wrong else (fact.row(as_recorded=as_recorded),)
                item = Item(number, text, rows, wrong or "", fact.recorded_at)
            except MalformedFact as problem:
                item = Item(number, text, (), str(problem))
            except Exception as error:
                item = Item(number, text, (), unexpected(error))
            yield item
