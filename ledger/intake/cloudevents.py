"""CloudEvents lines as facts: one JSON object a line, or arrays of them; blank lines are none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from ledger.cloudevents import extensions_of, parse_line
from ledger.events import BACKFILL
from ledger.facts import Fact
from ledger.intake.report import PROBLEM, unexpected
from ledger.intake.source import LARGEST_WHOLE, Item, Source
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

    `actor` is who imports them; the one that a line names is kept as the extension attribute
    `originalactor`, since a feed must not speak in another's name. Lines that are taken
    `as_recorded`, a history, keep their actor, and may have ids that are refused of new facts.
    """
    for number, text in _texts(source):
        if source.faults and (fault := source.faults.pop(number, None)):
            yield Item(number, text, (), f"the line {fault}")
        elif text and not text.isspace():
            try:
                fact = parse_line(mended(text) if PROBLEM in text else text.rstrip())
                if not as_recorded:
                    fact = imported_by(actor, fact)
                wrong = None if check is None else check(fact)
                rows = () if wrong else (fact.row(as_recorded=as_recorded),)
                doubt = fact.doubt() if as_recorded else ""
                item = Item(number, text, rows, wrong or "", fact.recorded_at, doubt)
            except MalformedFact as problem:
                item = Item(number, text, (), str(problem))
            except Exception as error:
                item = Item(number, text, (), unexpected(error))
            yield item


def imported_by(actor: str | None, fact: Fact) -> Fact:
    """Return a fact with the actor who imports it, and beside it the one that it names.

    So it is with the mark of a migration, by which a feed could hide that it is late.
    """
    if fact.actor in (None, actor) and fact.extensions is None:
        return fact._replace(actor=actor)
    named: dict[str, Any] = json.loads(fact.extensions or "{}")
    if BACKFILL in named:
        named[f"original{BACKFILL}"] = named.pop(BACKFILL)
    if fact.actor is not None and fact.actor != actor:
        named.setdefault("originalactor", fact.actor)
    extensions = extensions_of(named)
    return fact._replace(actor=actor, extensions=extensions)


def _texts(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the lines, each with its number; for those of an array of events its elements.

    An array may go on over several lines, up to one that is its ``]`` alone. What begins as one
    and is none is lines after all.
    """
    lines = enumerate(source.lines(), start=1)
    for number, text in lines:
        elements = None
        gathered = [(number, text)]
        if text.lstrip(_JSON_BLANKS).startswith("["):
            elements = elements_of(text)
            length = len(text)
            while elements is None and length < LARGEST_WHOLE and (more := next(lines, None)):
                gathered.append(more)
                length += len(more[1])
                if more[1].rstrip() == "]":
                    elements = elements_of("".join(line for _, line in gathered))
                    break
            if source.faults and any(each in source.faults for each, _ in gathered):
                elements = None
        yield from gathered if elements is None else ((number, each) for each in elements)


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
    return _parts(text, "{", "}")


def elements_of(text: str) -> list[str] | None:
    """Return the elements of a JSON array, each as it is written, on one line; None if it is none.

    >>> elements_of('[{"a": 1.50}, 2]')
    ['{"a": 1.50}', '2']
    """
    parts = _parts(text, "[", "]")
    return None if parts is None else [written.replace("\n", " ") for _, written in parts]


def _parts(text: str, opening: str, closing: str) -> list[tuple[str, str]] | None:
    """Return what an object or array is made of; as names those of an object's members."""
    parts: list[tuple[str, str]] = []
    try:
        at = _after(opening, text, 0)
        while not text.startswith(closing, at):
            if parts:
                at = _after(",", text, at)
            name, end = _DECODER.raw_decode(text, at)
            if opening == "{":
                if not text.startswith('"', at):
                    return None
                _, end = _DECODER.raw_decode(text, _after(":", text, end))
            parts.append((str(name) if opening == "{" else "", text[at:end]))
            at = _past_blanks(text, end)
    except (ValueError, RecursionError):
        return None
    return None if text[at + 1 :].strip(_JSON_BLANKS) else parts


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
