"""Everything recorded of one person, in clear: as data, and as a page that anyone can read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Final, NamedTuple

from attempt_ledger.api.register import Access
from ledger.cloudevents import to_cloudevent
from ledger.events import Recorded
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.models import EVENT_TYPES
from ledger.privacy.vault import ERASED
from projections.answers import Standing
from projections.catalogue import annulments
from replay.formats.page import text_of, write_head
from replay.snapshot import Snapshot

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p.basis{opacity:.7;margin:.2rem 0 1rem}
article{border:1px solid #8886;border-radius:.4rem;padding:.6rem .9rem;margin:.6rem 0}
article h3{font-size:1rem;margin:0}article.annulled{opacity:.65}
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.1rem 1rem;margin:.4rem 0 0}
dt{opacity:.7}dd{margin:0;overflow-wrap:anywhere}
@media(max-width:30rem){dl{display:block}dd{margin:0 0 .3rem 1rem}}
"""


class Record(NamedTuple):
    """What is recorded of one candidate, and what follows from it, at one moment."""

    candidate: str
    ledger: str
    """The ledger's own id."""
    at: int
    """When it was asked, microseconds UTC."""
    position: int
    forgotten: bool
    events: Sequence[Recorded]
    clear: Mapping[int, Mapping[str, Any]]
    """By position the data of each event, personal fields in clear text."""
    standings: Sequence[Standing]
    accesses: Sequence[Access]
    """Who read the candidate's personal data in clear text, this time included."""


def personal_fields(events: Iterable[Recorded]) -> tuple[str, ...]:
    """Return the names of the personal fields that are recorded, each once, in order."""
    names: dict[str, None] = {}
    for event in events:
        personal = EVENT_TYPES[event.type].personal
        names |= dict.fromkeys(name for name in event.payload() if name in personal)
    return tuple(names)


def record_of(
    ledger: Ledger, snapshot: Snapshot, candidate: str, accesses: Iterable[Access], *, now: int
) -> Record:
    """Read everything that is recorded of a candidate; raises KeyFileProblem as `reveal` does."""
    events = snapshot.events(candidate)
    return Record(
        candidate=candidate,
        ledger=ledger.about("ledger") or "",
        at=now,
        position=snapshot.position,
        forgotten=ledger.is_forgotten(candidate),
        events=events,
        clear={row.position: ledger.vault.reveal(row, erased=ERASED) for row in events},
        standings=snapshot.standings(candidate),
        accesses=tuple(accesses),
    )


def write_data(record: Record, file: IO[str]) -> None:
    """Write a record as one JSON object: its events as CloudEvents, data in clear text."""
    content = {
        "candidate": record.candidate,
        "ledger": record.ledger,
        "at": format_instant(record.at),
        "position": record.position,
        "forgotten": record.forgotten,
        "standings": [standing.model_dump(mode="json") for standing in record.standings],
        "events": [
            json.loads(to_cloudevent(row)) | {"data": record.clear[row.position]}
            for row in record.events
        ],
        "accesses": [each._asdict() | {"at": format_instant(each.at)} for each in record.accesses],
    }
    file.write(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def write_record_page(record: Record, file: IO[str]) -> None:
    """Write a record as a page for people: standings, then every event, then who looked."""
    write_head(f"What is recorded of {record.candidate}", _STYLE, file)
    file.write(
        f"<h1>What is recorded of {text_of(record.candidate)}</h1>\n"
        f'<p class="basis">{_basis(record)}</p>\n'
    )
    if record.forgotten:
        file.write("<p>The personal data was erased, and can no longer be read by anyone.</p>\n")
    _section("Where the candidate stands", map(_standing, record.standings), file)
    gone = annulments(record.events)
    _section(
        "Everything recorded",
        (_event(row, record.clear[row.position], gone.get(row.position)) for row in record.events),
        file,
    )
    _section("Who read the personal data", map(_access, record.accesses), file)
    file.write("</body>\n</html>\n")


def _basis(record: Record) -> str:
    many = f"{len(record.events):,} event{'s' * (len(record.events) != 1)}"
    return text_of(
        f"{many} up to position {record.position:,} of ledger {record.ledger}, read on "
        f"{format_instant(record.at)}. Instants are UTC. The same as data: data.json."
    )


def _section(title: str, articles: Iterable[str], file: IO[str]) -> None:
    file.write(f"<h2>{text_of(title)}</h2>\n")
    some = False
    for article in articles:
        some = True
        file.write(article)
    if not some:
        file.write("<p>Nothing.</p>\n")


def _article(title: str, rows: Iterable[tuple[str, str]], mark: str = "") -> str:
    lines = "".join(
        f"<dt>{text_of(name)}</dt><dd>{text_of(value)}</dd>\n" for name, value in rows if value
    )
    return f"<article{mark}><h3>{text_of(title)}</h3>\n<dl>\n{lines}</dl></article>\n"


def _standing(standing: Standing) -> str:
    rows = [("status", standing.status)]
    if standing.eligible_from is not None:
        rows.append(("eligible from", format_instant(standing.eligible_from)))
    rows += [("because", reason.text) for reason in standing.reasons]
    rows += [
        (
            f"sitting {each.registration_id}",
            f"{format_instant(each.started_at)}, {each.delivery}, {each.outcome}",
        )
        for each in standing.sittings
    ]
    return _article(standing.exam, rows)


def _event(row: Recorded, data: Mapping[str, Any], annulled_by: int | None) -> str:
    rows = [
        ("true from", format_instant(row.occurred_at)),
        ("recorded", format_instant(row.recorded_at)),
        ("recorded by", row.actor or ""),
        ("from", f"{row.source} {row.id}"),
        ("annulled", "" if annulled_by is None else f"by position {annulled_by}"),
        *_fields(data),
    ]
    mark = "" if annulled_by is None else ' class="annulled"'
    return _article(f"{row.position}. {row.type}", rows, mark)


def _fields(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        if value is not None:
            yield name.replace("_", " "), value if isinstance(value, str) else json.dumps(value)


def _access(access: Access) -> str:
    rows = [("by", access.identity), ("through", access.page)]
    rows.append(("fields", ", ".join(access.fields)))
    return _article(format_instant(access.at), rows)
