"""CloudEvents lines as facts: one JSON object a line, blank lines passed over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from ledger.cloudevents import parse_line
from ledger.events import Fact
from ledger.intake.report import PROBLEM, unexpected
from ledger.intake.source import Item, Source
from ledger.problems import MalformedFact

Check = Callable[[Fact], str | None]
"""Return what is wrong with a fact that `ledger` cannot judge, such as a policy; None if nothing.
"""
LINE = "line"
"""The member that holds, in a rejects file of lines, a line that is no JSON object."""

_JSON_BLANKS = " \t\r\n"
# Numbers stay text: one of many digits would take the square of their count to read.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


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


# -- the rejects file of lines


def refused_line(line: str, problem: str) -> str:
    """Return a line of a rejects file: the line as it is, with a member `problem` at its end.

    What is no JSON object is kept as text in the member `line`.
    """
    body = line.strip()
    members = members_of(body)
    if members is None:
        body = json.dumps({LINE: body}, ensure_ascii=False)
    elif any(name == PROBLEM for name, _ in members):
        body = _object(members)
    start = body.removesuffix("}").rstrip()
    comma = "" if start == "{" else ","
    return f'{start}{comma}"{PROBLEM}":{json.dumps(problem, ensure_ascii=False)}}}\n'


def mended(text: str) -> str:
    """Return a line of a rejects file as it was before its member `problem` was added.

    A line that was no JSON object then is taken out of the member `line` again. All else stays as
    it is written: whatever was wrong with it is still to be seen.
    """
    members = members_of(text)
    if members is None or all(name != PROBLEM for name, _ in members):
        return text
    (name, written), *others = [each for each in members if each[0] != PROBLEM] or [("", "")]
    value = written.partition(":")[2].strip(_JSON_BLANKS)
    if name == LINE and not others and value.startswith('"'):
        line: str = json.loads(value)
        with suppress(UnicodeEncodeError):  # half a character is no text
            line.encode()
            return line
        return text
    return _object(members)


def members_of(text: str) -> list[tuple[str, str]] | None:
    """Return the members of a JSON object, each with its name and as it is written; None if none.

    >>> members_of('{"a": 1.50, "a": [2]}')
    [('a', '"a": 1.50'), ('a', '"a": [2]')]
    """
    members: list[tuple[str, str]] = []
    try:
        at = _after("{", text, 0)
        while not text.startswith("}", at):
            if members:
                at = _after(",", text, at)
            name, end = _DECODER.raw_decode(text, at)
            if not text.startswith('"', at):
                return None
            _, end = _DECODER.raw_decode(text, _after(":", text, end))
            members.append((name, text[at:end]))
            at = _past_blanks(text, end)
    except (ValueError, RecursionError):
        return None
    return None if text[at + 1 :].strip(_JSON_BLANKS) else members


def _after(mark: str, text: str, at: int) -> int:
    """Return where it goes on after a mark and the blanks around it; ValueError without one."""
    at = _past_blanks(text, at)
    if not text.startswith(mark, at):
        raise ValueError
    return _past_blanks(text, at + 1)


def _past_blanks(text: str, at: int) -> int:
    while text[at : at + 1] in _JSON_BLANKS and at < len(text):
        at += 1
    return at


def _object(members: Iterable[tuple[str, str]]) -> str:
    """Write an object of members, but for its problem."""
    return "{" + ",".join(written for name, written in members if name != PROBLEM) + "}"
