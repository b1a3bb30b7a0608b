"""A snapshot: one ledger at one moment, bound once, and light until many are asked about."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from example_ledger import CACHE, NOW, facts, ledger_of, one_by_one
from plain_values import rows_of

from ledger.ledger import Ledger
from projections.standing import Moment
from replay.snapshot import Engine, Known, Snapshot, UnansweredMoment, snapshot_at

ENGINE = Engine(cache=CACHE, keep_columns=False, small=0)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Yield a ledger of the whole example."""
    with ledger_of(tmp_path_factory.mktemp("snapshot") / "a.ledger", facts()) as made:
        yield made


def test_one_snapshot_answers_for_one_and_for_everybody(ledger: Ledger) -> None:
    """The same catalogue serves both, whichever is asked first."""
    snapshot = snapshot_at(ledger, NOW, now=NOW, engine=ENGINE)
    before = list(one_by_one(ledger, snapshot.moment))
    assert list(rows_of(snapshot.everybody())) == before
    names = {candidate: None for candidate, *_ in before}
    alone = Snapshot(ledger, snapshot.moment)
    assert snapshot.columns.exams[0] in snapshot.catalogue.exams  # numbered anew, by the columns
    for name in names:
        assert snapshot.standings(str(name)) == alone.standings(str(name))


def test_another_moment_of_the_same_ledger_is_the_moment_asked_by_itself(ledger: Ledger) -> None:
    """What was read for one moment is no other answer at the next, earlier or later."""
    late = snapshot_at(ledger, NOW, now=NOW)
    for position in (720, 40, 400):
        moment = Moment(NOW, None, min(position, late.position))
        other, alone = late.at(moment), Snapshot(ledger, moment)
        assert other.standing("C-1001", "AZ-104") == alone.standing("C-1001", "AZ-104")
        assert other.entries == alone.entries == ledger.catalogue(0, moment.position)


def test_how_it_is_computed_changes_no_answer(ledger: Ledger) -> None:
    """One worker or four, columns kept or read anew, compiled or interpreted."""
    made = [
        Snapshot(ledger, snapshot_at(ledger, NOW, now=NOW).moment, engine).violations()
        for engine in (
            ENGINE,
            replace(ENGINE, workers=4),
            replace(ENGINE, keep_columns=True),
            replace(ENGINE, small=10_000),
        )
    ]
    assert made[0].num_rows > 0
    assert all(table == made[0] for table in made)


def test_a_difference_from_a_moment_to_itself_is_nothing(ledger: Ledger) -> None:
    """And from one to another it has rows."""
    now = snapshot_at(ledger, NOW, now=NOW, engine=ENGINE)
    then = now.at(Moment(NOW, None, 400))
    assert now.diff(now).num_rows == 0
    assert then.diff(now).num_rows > 0


@pytest.mark.parametrize("known", [Known(position=10_000), Known(instant=NOW + 1)])
def test_a_moment_whose_answer_could_still_change_is_refused(ledger: Ledger, known: Known) -> None:
    """A position that is not reached, an instant that lies ahead."""
    with pytest.raises(UnansweredMoment, match=r"not reached yet|lies in the future"):
        snapshot_at(ledger, NOW, known, now=NOW)


def test_one_candidate_pays_for_one_candidate(ledger: Ledger) -> None:
    """No compiler, no columns, no tables are imported for a standing and a history."""
    script = (
        "import sys; from ledger.ledger import Ledger; from replay.snapshot import snapshot_at\n"
        "with Ledger.open(sys.argv[1], clock=lambda: 0, read_only=True) as ledger:\n"
        "    snapshot = snapshot_at(ledger, 0, now=0)\n"
        "    snapshot.standings('C-1001'); snapshot.history('C-1001')\n"
        "print(*{'numba', 'numpy', 'pyarrow', 'sqlite_utils'} & sys.modules.keys())"
    )
    call = [sys.executable, "-c", script, str(ledger.path)]
    cwd = Path(__file__).parent.parent
    assert subprocess.check_output(call, text=True, cwd=cwd).split() == []
