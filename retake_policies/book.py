"""Many policies as one set of columns, so that any of them can be taken up by its number.

A question meets several versions of several policies; compiled code cannot
hold a list of objects, so the rules lie end to end and are cut out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from retake_policies.compiled import Rules


class RuleBook(NamedTuple):
    """Rules number v: its scalars at [v], its sequences from lo[v] to hi[v] of the shared ones."""

    wait_lo: Sequence[int]
    wait_hi: Sequence[int]
    wait_unit: Sequence[int]
    wait_amount: Sequence[int]
    wait_from_end: Sequence[int]
    wait_days: Sequence[int]
    zone_lo: Sequence[int]
    zone_hi: Sequence[int]
    zone_from: Sequence[int]
    zone_offset: Sequence[int]
    cap_lo: Sequence[int]
    cap_hi: Sequence[int]
    cap_sittings: Sequence[int]
    cap_anchor: Sequence[int]
    cap_unit: Sequence[int]
    cap_amount: Sequence[int]
    retake: Sequence[int]
    beta_sittings: Sequence[int]
    beta_counts: Sequence[int]
    expected_lo: Sequence[int]
    expected_hi: Sequence[int]
    expected_unit: Sequence[int]
    expected_amount: Sequence[int]
    overdue_unit: Sequence[int]
    overdue_amount: Sequence[int]


def rule_book(all_rules: Iterable[Rules]) -> RuleBook:
    """Lay rules end to end; the order gives them their numbers, from 0."""
    columns: dict[str, list[int]] = {name: [] for name in RuleBook._fields}
    for rules in all_rules:
        for run, names in (
            ("wait", ("wait_unit", "wait_amount")),
            ("zone", ("zone_from", "zone_offset")),
            ("cap", ("cap_sittings", "cap_anchor", "cap_unit", "cap_amount")),
            ("expected", ("expected_unit", "expected_amount")),
        ):
            columns[f"{run}_lo"].append(len(columns[names[0]]))
            for name in names:
                columns[name].extend(getattr(rules, name))
            columns[f"{run}_hi"].append(len(columns[names[0]]))
        for name in (
            "wait_from_end",
            "wait_days",
            "retake",
            "beta_sittings",
            "beta_counts",
            "overdue_unit",
            "overdue_amount",
        ):
            columns[name].append(getattr(rules, name))
    return RuleBook(**columns)


def rules_at(book: RuleBook, v: int) -> Rules:
    """Cut rules number `v` out of the book; compiled, the sequences are views.

    The arguments are those of `Rules`, in its order.
    """
    w, x = book.wait_lo[v], book.wait_hi[v]
    z, a = book.zone_lo[v], book.zone_hi[v]
    c, d = book.cap_lo[v], book.cap_hi[v]
    e, f = book.expected_lo[v], book.expected_hi[v]
    return Rules(
        book.wait_unit[w:x],
        book.wait_amount[w:x],
        book.wait_from_end[v],
        book.wait_days[v],
        book.zone_from[z:a],
        book.zone_offset[z:a],
        book.cap_sittings[c:d],
        book.cap_anchor[c:d],
        book.cap_unit[c:d],
        book.cap_amount[c:d],
        book.retake[v],
        book.beta_sittings[v],
        book.beta_counts[v],
        book.expected_unit[e:f],
        book.expected_amount[e:f],
        book.overdue_unit[v],
        book.overdue_amount[v],
    )
