"""What did we know, when: areas of one answer over both axes of time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from example_ledger import bound, facts, ledger_of

from attempt_ledger.console.knowledge import MOST, Knowledge, knowledge_of
from projections.standing import Moment
from replay.snapshot import Snapshot

CORRECTED = ("C-1004", "MS-900")
"""A result of theirs was corrected: what was known first was otherwise."""


@pytest.fixture(scope="module")
def latest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    """The example's ledger at its head."""
    with ledger_of(tmp_path_factory.mktemp("knowledge") / "a.ledger", facts()) as ledger:
        yield bound(ledger)


def knowledge(latest: Snapshot, candidate: str, exam: str) -> Knowledge:
    """Draw a candidate's answers for an exam."""
    learned = [row.position for row in latest.events(candidate)]
    found = knowledge_of(latest, candidate, exam, learned, latest.position)
    assert found is not None
    return found


@pytest.mark.parametrize("whom", [CORRECTED, ("C-1001", "AZ-104"), ("C-1117", "AZ-104")])
def test_each_area_is_one_answer_and_none_lies_over_another(
    latest: Snapshot, whom: tuple[str, str]
) -> None:
    """Whoever clicks into an area gets the answer that it stands for."""
    k = knowledge(latest, *whom)
    cells = {
        (f.x + right, f.y + up): f.status
        for f in k.fields
        for right in range(f.width)
        for up in range(f.height)
    }
    assert len(cells) == sum(f.width * f.height for f in k.fields) == k.columns * k.rows
    for (x, y), status in cells.items():
        then = latest.at(Moment(k.starts[x], None, k.positions[y])).standing(*whom)
        assert status == ("nothing" if not then.sittings else then.status), (x, y)


def test_what_did_not_change_is_one_area_however_often_something_was_learned(
    latest: Snapshot,
) -> None:
    """An area is as high as there are rows of the same answer between the same instants."""
    k = knowledge(latest, *CORRECTED)
    assert max(f.height for f in k.fields) > 1
    assert len(k.fields) < k.columns * k.rows <= MOST * MOST
    areas = {(f.x, f.width, f.status, f.y) for f in k.fields}
    on_top = {(f.x, f.width, f.status, f.y + f.height) for f in k.fields}
    assert areas.isdisjoint(on_top)
    for f in k.fields:
        assert (f.position, f.last_position) == (k.positions[f.y], k.positions[f.y + f.height - 1])
