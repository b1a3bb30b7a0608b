"""Questions of a store that are the same in SQL, whichever database answers: written once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from ledger.store.interface import PAGE, Found
from ledger.store.sqlite_writing import FORGOTTEN

_TOP: Final = chr(0x10FFFF)

Place = TypeVar("Place", int, str)


class Questions(ABC):
    """What a store answers by statements that every database of ours reads alike."""

    @abstractmethod
    def selected(self, select: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return what a SELECT yields, as tuples; its values stand where ``?`` does.

        ``{events}`` stands for the table.
        """

    def sources(self, most: int) -> list[str]:
        """Return the sources of the events, sorted by code point, at most so many."""
        found: list[str] = []
        # A look into the index for each: DISTINCT would read all of it.
        select = "SELECT min(source) FROM {events} WHERE source > ?"
        while len(found) < most:
            ((source,),) = self.selected(select, (found[-1] if found else "",))
            if source is None:
                break
            found.append(source)
        return found

    def of_several_sources(self, keys: Sequence[str]) -> list[tuple[str, str]]:
        """Return (stream, exam) of each key that events of more than one source name, sorted."""
        found: set[tuple[str, str]] = set()
        for some in pages(keys):
            select = f"SELECT stream, exam FROM {{events}} WHERE key IN ({marks(some)}) "
            each = "AND exam IS NOT NULL GROUP BY stream, exam, key "
            found.update(self.selected(f"{select}{each}HAVING min(source) < max(source)", some))
        return sorted(found)

    def of_topics(self, keys: Sequence[str], topics: Sequence[str]) -> list[tuple[str, str]]:
        """Return (stream, exam) of each key that an event of some topics names, sorted."""
        found: set[tuple[str, str]] = set()
        for some in pages(keys):
            select = f"SELECT stream, exam FROM {{events}} WHERE key IN ({marks(some)}) "
            where = f"AND exam IS NOT NULL AND topic IN ({marks(topics)})"
            found.update(self.selected(select + where, (*some, *topics)))
        return sorted(found)

    def subjects(self, kind: str, after: str) -> list[tuple[str, int]]:
        """Return the next subjects of a kind of stream, each with its first position."""
        # "0" comes right after "/": so all streams of a kind are a range.
        return self.selected(
            "SELECT substr(stream, ?), min(position) FROM {events} WHERE stream > ? AND "
            "stream < ? GROUP BY stream ORDER BY stream LIMIT ?",
            (len(kind) + 2, f"{kind}/{after}", f"{kind}0", PAGE),
        )

    def forgotten(self) -> list[str]:
        """Return every stream with a CandidateForgotten, in any order. Looks at every event."""
        select = f"SELECT DISTINCT stream FROM {{events}} WHERE {FORGOTTEN}"
        return [stream for (stream,) in self.selected(select)]

    def search(self, text: str, limit: int) -> list[Found]:
        """Return candidates whose id, a registration id or a request id begins with `text`."""
        low = f"candidate/{text}"
        found: dict[Found, None] = {}
        for (stream,) in self.selected(
            "SELECT DISTINCT stream FROM {events} WHERE stream >= ? AND stream < ? "
            "ORDER BY stream LIMIT ?",
            (low, f"{low}{_TOP}", limit),
        ):
            candidate = stream[10:]
            found[Found(candidate, "candidate", candidate)] = None
        # Ids of certifications are keys too, so the limit is put on what is left without them.
        for stream, key, is_request in self.selected(
            "SELECT DISTINCT stream, key, substr(topic, 1, 9) = 'Exception' FROM {events} "
            "WHERE key >= ? AND key < ? AND substr(topic, 1, 4) <> 'Cert' "
            "ORDER BY key, stream LIMIT ?",
            (text, f"{text}{_TOP}", limit),
        ):
            by = "request_id" if is_request else "registration_id"
            found[Found(stream[10:], by, key)] = None
        return list(found)[:limit]


def marks(values: Sequence[Any]) -> str:
    """Write the question marks of a list of values."""
    return ",".join("?" * len(values))


def pages(values: Sequence[Place]) -> Iterator[Sequence[Place]]:
    """Yield values in pieces of which each is asked about at once."""
    return (values[start : start + PAGE] for start in range(0, len(values), PAGE))
