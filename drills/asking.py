"""A process that asks everything of a ledger that may be damaged, and says what it came to.

One request a line on standard input, the folder; one answer a line on standard output. A process of
its own: what a damaged file does to a library must not end the drill.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from attempt_ledger import clock
from attempt_ledger.cli.read_model import options
from attempt_ledger.places import cache_folder
from drills.life import LEDGER
from ledger.events import Recorded
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from ledger.tlog.checkpoint import log_paths, need_verifier_key
from ledger.tlog.sealer import seal
from ledger.tlog.verify import verify
from projections.tables import KEPT
from replay.columns.cache import ColumnCache
from replay.read_model.rebuild import Difference, rebuild
from replay.read_model.store import ReadModel
from replay.snapshot import Engine

Say: TypeAlias = Callable[[str], None]
Answer: TypeAlias = dict[str, Any]
"""``many``: how many rows; ``rows``: a digest of the table; ``answers``: one of all that is asked,
or None; ``said``: sentences of whoever was asked; ``verify``, ``doctor``: what they found;
``wrong``: what no user should see, such as a traceback."""


def asked(folder: Path) -> Answer:
    """Ask for everything that is recorded, by every way there is, then verify, then examine."""
    path = folder / LEDGER
    answer: Answer = {
        "rows": None,
        "answers": None,
        "said": [],
        "verify": [],
        "doctor": [],
        "wrong": [],
    }
    summed = sha256()
    with _noted(answer, "said"):
        with Ledger.open(path, clock=clock.now, read_only=True) as ledger:
            rows = list(ledger.read())
            answer["many"] = len(rows)
            answer["rows"] = sha256(repr(rows).encode(errors="surrogateescape")).hexdigest()
            for each in _everything(ledger, rows, answer["said"].append):
                summed.update(repr(each).encode(errors="surrogateescape"))
        answer["answers"] = summed.hexdigest()
    with _noted(answer, "verify"):
        place = log_paths(path)
        verdict = verify(place, need_verifier_key(place), full=True)
        answer["verify"] += (finding.sentence for finding in verdict.findings)
    with _noted(answer, "said"), Ledger.open(path, clock=clock.now, read_only=True) as ledger:
        seal(log_paths(path), str(ledger.about("ledger")), ledger.head().position)
    with _noted(answer, "doctor"):
        for file in (path, Path(f"{path}.keys"), Path(f"{path}.views")):
            if file.exists():
                answer["doctor"] += (f"{file.name}: {each}" for each in _damages(file))
    return answer


@contextmanager
def _noted(answer: Answer, who: str) -> Iterator[None]:
    """Take the sentence of whatever is raised; anything but a sentence of ours is wrong."""
    try:
        yield
    except LedgerProblem as problem:
        answer[who].append(str(problem))
    except (sqlite3.Error, UnicodeDecodeError) as problem:  # the latter from what SQLite quotes
        answer[who if who == "doctor" else "wrong"].append(f"{who}: {problem!r}")
    except Exception as problem:
        answer["wrong"].append(f"{who}: {problem!r}")


def _everything(ledger: Ledger, rows: Sequence[Recorded], said: Say) -> Iterator[object]:
    """Yield all that can be asked of a ledger, through its table and through its indexes."""
    yield ledger.head()
    yield ledger.about("ledger")
    for row in rows:
        yield row
        yield ledger.vault.reveal(row)
        yield ledger.find(row.source, row.id)
    for candidate in ledger.candidates():
        yield candidate
        yield ledger.stream(f"candidate/{candidate}")
        yield ledger.search(candidate)
    yield ledger.catalogue()
    if Path(f"{ledger.path}.columns").exists():
        yield from _columns(ledger, said)
    if Path(f"{ledger.path}.views").exists():
        yield from _views(ledger, said)


def _columns(ledger: Ledger, said: Say) -> Iterator[object]:
    """Yield what the column cache holds."""
    columns = ColumnCache(ledger, Engine(cache_folder(), workers=1, say=said)).columns(
        ledger.head().position
    )
    yield columns.position, columns.exams, columns.certifications
    for part in (*columns.base, *([columns.delta] if columns.delta else [])):
        yield part.candidates.to_pylist()
        for rows in (part.sittings, part.certifications, part.grants):
            yield [list(each) for each in rows]


def _views(ledger: Ledger, said: Say) -> Iterator[object]:
    """Yield what the views hold, after they were held against a rebuild."""
    path = Path(f"{ledger.path}.views")

    def told(difference: Difference) -> None:
        said(f"the views differ: {difference}")

    rebuild(ledger, path, options()._replace(say=said), told)
    with ReadModel(path, read_only=True) as views:
        for table in KEPT:
            yield sorted(map(repr, views.select(f"SELECT * FROM {table.name}")))


def _damages(file: Path) -> Iterator[str]:
    with closing(sqlite3.connect(file)) as connection:
        for (each,) in connection.execute("PRAGMA integrity_check(3)"):
            if each != "ok":
                yield str(each)


def main() -> None:
    """Answer until there are no more requests."""
    for line in sys.stdin:
        print(json.dumps(asked(Path(line.rstrip("\n")))), flush=True)


if __name__ == "__main__":
    main()
