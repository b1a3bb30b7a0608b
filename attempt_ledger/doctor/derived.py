"""Checks of what is made of a ledger and can be made anew: the read model and the column cache."""

from __future__ import annotations

from collections.abc import Iterator

from attempt_ledger.doctor.findings import Depth, Figure, Finding, Subject, fine, found, span
from attempt_ledger.doctor.surroundings import may_write
from attempt_ledger.places import cache_folder
from ledger.own_folder import NotOurs
from replay.columns.cache import FOREIGN, ColumnCache, Damaged, folder_of
from replay.read_model.store import state_of
from replay.snapshot import Engine


def views(subject: Subject) -> Iterator[Finding]:
    """Are the views of this ledger, and how far behind?"""
    path = subject.views
    if path.exists() and not (may_write(path) and may_write(path.parent)):
        # SQLite makes a file beside one in WAL mode, which these always are, to read it.
        yield fine("views", f"{path} is there; this account may not look into it")
        return
    state = state_of(subject.opened, path)
    if state is None:
        yield fine("views", f"there are none at {path} (`project` makes them)")
        return
    if state.damaged:
        yield found("views-damaged", f"{path} is damaged")
        return
    if state.other is not None:
        yield found("views-of-another", f"the views in {path} are {state.other}")
        return
    behind = max(0, subject.head.position - state.position)
    first = subject.recorded_at(state.position + 1) if behind else None
    age = 0 if first is None else subject.age(first)
    figures: dict[str, Figure] = {
        "position": state.position,
        "behind": behind,
        "age_seconds": age // 1_000_000,
    }
    if age > subject.bounds.views:
        yield found(
            "views-behind",
            f"the views lack {behind:,} events, the first of them for {span(age)}",
            **figures,
        )
    elif state.stale:
        exams = ", ".join(sorted(state.stale)[:5])
        yield found(
            "views-stale",
            f"{len(state.stale)} exams ({exams}) are still to be folded again after a change of "
            "the catalogue",
            stale=len(state.stale),
            **figures,
        )
    elif behind:
        yield fine("views", f"the views lack {behind:,} events, since {span(age)}", **figures)
    else:
        yield fine("views", f"the views stand for position {state.position:,}", **figures)


def column_cache(subject: Subject) -> Iterator[Finding]:
    """Is the column cache beside the ledger of this account's making, and as it was written?"""
    folder = folder_of(subject.path)
    cache = ColumnCache(subject.opened, Engine(cache_folder()))
    try:
        position = cache.reached()
        problem = cache.check(remove=False) if subject.depth is Depth.full else None
        if problem not in (None, FOREIGN):
            raise Damaged(problem)
    except Damaged as damage:
        yield found("column-cache-damaged", f"the column cache in {folder} is damaged: {damage}")
        return
    except (NotOurs, OSError) as hindrance:
        yield found(
            "column-cache-unused",
            f"this account does without a column cache in {folder}: {hindrance}",
        )
        return
    if position is None:
        yield fine("column-cache", "there is none (`replay` makes one)", position=None)
    else:
        behind = subject.head.position - position
        yield fine(
            "column-cache",
            f"it stands for position {position:,}, {behind:,} behind (`replay` takes them up)",
            position=position,
            behind=behind,
        )
