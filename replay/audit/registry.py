"""All audit queries, in the order in which they are listed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from replay.audit.query import Query

QUERIES: Final[Mapping[str, str]] = {
    "events": "List events: who recorded what, and when.",
    "history": "Show each event of a candidate with what it changed.",
    "backdated": "List facts recorded long after they were true.",
    "annulments": "List who annulled what, when and why.",
    "disagreements": "List sittings that sources tell differently.",
    "exceptions": "List decisions on exceptions, with rule and facts.",
    "forgotten": "List whose personal data was erased, when and by whom.",
}
"""Each audit query, the module of its name here, with the line that lists it.

Nothing is imported for a list, so that the help of a command line that lists them is quick.
"""


def query_named(name: str) -> Query:
    """Return a query of the list."""
    # Here, so that a help that lists the queries imports none, nor Arrow.
    query: Query = import_module(f"replay.audit.{name}").QUERY
    return query
