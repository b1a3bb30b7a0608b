"""What a draft policy would have done, held against a ledger in which it was really published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from example_ledger import NOW, Ledgers, bound, dicts, facts, head_of, ledger_of, one_by_one
from plain_values import When, at
from random_ledger import NOW as THRONG_NOW
from random_ledger import PLACES, random_ledger, seeded_worlds
from scenarios import beta, exam, failed, passed, policy
from strategies import policy_text

from ledger.facts import Fact, fact_of
from ledger.ledger import Ledger
from ledger.models import PolicyPublished
from ledger.outcomes import Appended
from projections.catalogue import Catalogue, catalogue_of
from projections.history import SITTING_KINDS, history_of
from projections.standing import Moment, standing_of
from replay.population import Scope
from replay.snapshot import Snapshot
from replay.what_if import Compared, Draft, totals
from retake_policies import shipped

DAY = 86_400_000_000
GENERAL = dict(shipped())["general"]


def draft(
    id: str, wait: str, effective_from: str = "2021-03-31T00:00:00Z", more: str = ""
) -> Draft:
    """Write a draft with one wait and nothing else."""
    return Draft(
        id, f'id = "{id}"\neffective_from = {effective_from}\n[wait]\nafter = ["{wait}"]\n{more}'
    )


def asked(everyone: Snapshot, *drafts: Draft, as_of: When = "2030-01-01", **more: Any) -> Compared:
    """Ask what drafts would have done, as known at the head."""
    return everyone.at(Moment(at(as_of), None, head_of(everyone))).what_if(drafts, **more)


def changed(compared: Compared) -> list[tuple[str, str, str, str]]:
    """Return (registration, change, status, status under the draft) of each sitting."""
    keys = ("registration_id", "change", "status", "status_draft")
    return [tuple(row[key] for key in keys) for row in dicts(compared.sittings)]


# --- against a ledger in which the drafts were published -------------------------------------


class Beside:
    """Two ledgers: one as it is, one in which drafts were published at the very end."""

    def __init__(self, ledger: Ledger, copy: Ledger, drafts: Sequence[Draft]) -> None:
        self._ledgers = ledger, copy
        rows = list(ledger.read())
        clock = max(rows[-1].recorded_at, max(row.occurred_at for row in rows))
        events = [Fact("urn:test", f"draft/{n}", draft.id, clock, PolicyPublished(toml=draft.toml))
                  for n, draft in enumerate(drafts)]  # fmt: skip
        outcomes = copy.append([fact_of(row).row(as_recorded=True) for row in rows])
        outcomes += copy.append(events)
        assert {type(outcome) for outcome in outcomes} == {Appended}

    def moments(self, as_of: int) -> list[tuple[Ledger, Catalogue, Moment]]:
        """Return what to ask of either ledger: all that it knows, as of an instant."""
        found = []
        for ledger in self._ledgers:
            position = ledger.head().position
            catalogue = catalogue_of(ledger.catalogue(0, position))
            found.append((ledger, catalogue, Moment(as_of, None, position)))
        return found

    def sittings(self, as_of: int) -> Iterator[tuple[Any, ...]]:
        """Judge each sitting at its start, in a history without it, by either ledger."""
        (ledger, _, moment), _ = sides = self.moments(as_of)
        snapshot = Snapshot(ledger, moment)
        for who in ledger.candidates():
            rows = ledger.stream(f"candidate/{who}")
            for standing in snapshot.standings(who):
                for sitting in standing.sittings:
                    if sitting.outcome == "missed":
                        continue  # nobody sat: nothing was refused or allowed
                    key, start = sitting.registration_id, sitting.started_at
                    others = [row for row in rows if row.type not in SITTING_KINDS
                              or (row.exam, row.key) != (standing.exam, key)]  # fmt: skip
                    now, then = (
                        standing_of(who, standing.exam, history_of(others, catalogue), catalogue,
                                    side._replace(as_of=start))
                        for _, catalogue, side in sides
                    )  # fmt: skip
                    yield who, standing.exam, key, start, now, then

    def standings_changed(self, as_of: int) -> list[tuple[Any, ...]]:
        """Return those whose status or eligible_from the drafts would change."""
        now, then = (
            {row[:2]: (row[2], row[4]) for row in one_by_one(ledger, moment)}
            for ledger, _, moment in self.moments(as_of)
        )
        assert now.keys() == then.keys()
        return [(*key, *now[key], *then[key]) for key in now if now[key] != then[key]]


def assert_as_published(
    everyone: Snapshot, copy: Path, drafts: Sequence[Draft], as_of: int, clock: int = NOW
) -> Compared:
    """Hold what is said of drafts against what publishing them makes true."""
    compared = asked(everyone, *drafts, as_of=as_of)
    with Ledger.create(copy, clock=lambda: clock) as other:
        beside = Beside(everyone.ledger, other, drafts)
        found = compared.sittings.drop_columns("position")
        judged = list(beside.sittings(as_of))
        assert [tuple(row.values()) for row in dicts(found)] == [
            (who, code, key, start, "refused" if now.eligible else "allowed", now.status,
             then.status)
            for who, code, key, start, now, then in judged
            if now.eligible != then.eligible
        ]  # fmt: skip
        standings = [tuple(row.values()) for row in dicts(compared.standings)]
        assert standings == beside.standings_changed(as_of)
        assert compared.judged == len(judged)
    assert compared.stood == everyone.at(
        Moment(as_of, None, head_of(everyone))
    ).everybody().num_rows  # fmt: skip
    return compared


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Snapshot]:
    """Ask about everybody of the example."""
    with ledger_of(tmp_path / "example.ledger", facts()) as ledger:
        yield bound(ledger)


def test_a_longer_wait_refuses_exactly_those_whom_it_would_have(
    example: Snapshot, tmp_path: Path
) -> None:
    """Thirty days after each failed sitting; nobody is allowed who was not."""
    stricter = Draft("general", GENERAL.replace('"PT24H"', '"P30D"').replace("P14D", "P30D"))
    compared = assert_as_published(example, tmp_path / "b.ledger", [stricter], at("2022-08-01"))
    changes = Counter(row["change"] for row in dicts(compared.sittings))
    assert changes["refused"] > 20
    assert not changes["allowed"]
    assert compared.standings.num_rows > 0


def test_a_shorter_wait_allows_exactly_those_whom_it_would_have(
    example: Snapshot, tmp_path: Path
) -> None:
    """No wait and no cap at all: who came too early would not have."""
    milder = Draft("mta-mce", 'id = "mta-mce"\neffective_from = 2020-01-01T00:00:00Z\n')
    compared = assert_as_published(example, tmp_path / "b.ledger", [milder], at("2022-08-01"))
    changes = Counter(row["change"] for row in dicts(compared.sittings))
    assert changes["allowed"] >= 2
    assert {row["exam"] for row in dicts(compared.sittings)} <= {"62-193", "98-361", "98-388"}


def test_random_drafts_do_what_publishing_them_does(tmp_path: Path) -> None:
    """Rules of every kind, a draft for each of many worlds, all at once."""
    random, (begins,) = Random(3), PLACES[2:3]
    ledger, told = random_ledger(tmp_path / "a.ledger", seeded_worlds(120, 3, (begins,)), Random(1))
    drafts = []
    for number in range(len(told)):
        effective_from = at(begins) + random.choice((-400, -10, 0, 20)) * DAY
        id = f"{random.choice(('ours', 'ours', 'ours', 'theirs', 'general'))}-{number}"
        drafts.append(Draft(id, policy_text(random, id, effective_from)))
    with ledger:
        everyone = bound(ledger)
        as_of = at(begins) + 40 * DAY
        compared = assert_as_published(
            everyone, tmp_path / "b.ledger", drafts, as_of, clock=THRONG_NOW
        )
    changes = Counter(row["change"] for row in dicts(compared.sittings))
    assert changes["refused"] > 4
    assert changes["allowed"] > 20
    assert compared.standings.num_rows > 30


# --- laws ------------------------------------------------------------------------------------


def test_a_draft_of_the_same_text_changes_nothing(example: Snapshot) -> None:
    """Of each shipped policy, and of all of them at once."""
    every = [Draft(id, text) for id, text in shipped()]
    for drafts in (*([one] for one in every), every, []):
        compared = asked(example, *drafts, as_of="2022-08-01")
        assert (compared.sittings.num_rows, compared.standings.num_rows) == (0, 0)
        assert compared.judged > 100
        assert compared.stood > 50
        assert compared.idle == ()


def test_drafts_of_two_policies_do_what_each_does_alone(example: Snapshot) -> None:
    """Each exam follows one of them."""
    one, other = draft("general", "P30D"), draft("mta-mce", "P30D")
    both = asked(example, one, other)
    alone = [asked(example, one), asked(example, other)]
    for table in ("sittings", "standings"):
        rows = dicts(getattr(both, table))
        assert rows == sorted(
            (row for each in alone for row in dicts(getattr(each, table))),
            key=lambda row: (row["candidate"], row["exam"], row.get("started_at", 0)),
        )
    assert all(each.sittings.num_rows for each in alone)
    assert asked(example, other, one).sittings.equals(both.sittings)


def test_a_draft_touches_nothing_before_its_first_day(example: Snapshot) -> None:
    """Its effective_from is the first instant that it is asked about."""
    compared = asked(example, draft("general", "P60D", "2022-03-01T00:00:00Z"), as_of="2022-08-01")
    starts = [row["started_at"] for row in dicts(compared.sittings)]
    assert starts
    assert min(starts) >= at("2022-03-01")
    before = asked(example, draft("general", "P60D", "2023-01-01T00:00:00Z"), as_of="2022-12-31")
    assert before.sittings.num_rows == 0
    assert {row["status"] == row["status_draft"] for row in dicts(before.standings)} <= {True}


def test_totals_add_up(example: Snapshot) -> None:
    """By exam, by reason, by change: every row is counted once, the largest first."""
    compared = asked(
        example, draft("general", "P30D"), draft("mta-mce", "PT0S"), as_of="2022-08-01"
    )
    for table, keys in (
        (compared.sittings, ["change"]),
        (compared.sittings, ["exam", "change"]),
        (compared.sittings, ["status", "status_draft"]),
        (compared.standings, ["exam"]),
        (compared.standings, ["status", "status_draft"]),
    ):
        counted = totals(table, keys)
        wanted = Counter(tuple(row[key] for key in keys) for row in dicts(table))
        assert {tuple(names): count for *names, count in counted} == wanted
        assert counted == sorted(counted, key=lambda row: (-row[-1], row[:-1]))
        assert sum(row[-1] for row in counted) == table.num_rows > 0


def test_the_scope_and_since_leave_out_the_rest(example: Snapshot) -> None:
    """Of an exam, of some candidates, of sittings from an instant on."""
    stricter = draft("general", "P30D")
    whole = asked(example, stricter)
    rows = dicts(whole.sittings)
    for scope, keep in (
        (Scope("AZ-104"), lambda row: row["exam"] == "AZ-104"),
        (Scope(None, frozenset({"C-1002"})), lambda row: row["candidate"] == "C-1002"),
        (Scope("XX-000"), lambda row: False),
    ):
        some = asked(example, stricter, scope=scope)
        assert dicts(some.sittings) == [row for row in rows if keep(row)]
        assert dicts(some.standings) == [row for row in dicts(whole.standings) if keep(row)]
        assert some.judged < whole.judged
        assert some.stood < whole.stood
    since = rows[len(rows) // 2]["started_at"]
    late = asked(example, stricter, since=since)
    assert dicts(late.sittings) == [row for row in rows if row["started_at"] >= since]
    assert 0 < late.judged < whole.judged
    assert late.stood == whole.stood
    assert late.standings.equals(whole.standings)


@pytest.mark.parametrize("known", [0, 1, 4, 20, 33, 34, 35, 300])
def test_drafts_take_the_place_of_nothing_recorded(example: Snapshot, known: int) -> None:
    """As known at any position, that of a catalogue entry too."""
    moment = Moment(at("2022-08-01"), None, known)
    same = example.at(moment).what_if([Draft(id, text) for id, text in shipped()])
    assert (same.sittings.num_rows, same.standings.num_rows) == (0, 0)
    stricter = example.at(moment).what_if([draft("general", "P30D"), draft("mta-mce", "P30D")])
    assert stricter.judged == same.judged
    assert (stricter.sittings.num_rows > 0) == (known == 300)


# --- stories ---------------------------------------------------------------------------------


X = exam("X", policy="ours")
DAY_WAIT = policy(draft("ours", "PT24H", "2020-01-01T00:00:00Z").toml)
TWICE = (failed("X", on="2021-04-01", reg="R-1"), failed("X", on="2021-04-03", reg="R-2"))


def test_a_sitting_is_judged_without_those_that_the_draft_would_have_refused_taken_away(
    crowd: Ledgers,
) -> None:
    """What happened, happened: the third is judged after the second, refused or not."""
    third = failed("X", on="2021-04-09", reg="R-3")
    everyone = crowd.told(DAY_WAIT, X, *TWICE, third)
    assert changed(asked(everyone, draft("ours", "P7D"))) == [
        ("R-2", "refused", "eligible", "waiting"),
        ("R-3", "refused", "eligible", "waiting"),
    ]
    in_time = failed("X", on="2021-04-10", reg="R-3")
    everyone = crowd.told(DAY_WAIT, X, *TWICE, in_time)
    assert changed(asked(everyone, draft("ours", "P7D"))) == [
        ("R-2", "refused", "eligible", "waiting")
    ]


def test_a_sitting_that_stays_refused_for_another_reason_is_no_change(crowd: Ledgers) -> None:
    """Refused is refused."""
    everyone = crowd.told(DAY_WAIT, X, TWICE[0], failed("X", on="2021-04-01T12:00Z", reg="R-2"))
    capped = draft("ours", "PT1S", more="[[cap]]\nsittings = 1\n")
    assert changed(asked(everyone, capped)) == []
    assert changed(asked(everyone, draft("ours", "PT1S"))) == [
        ("R-2", "allowed", "waiting", "eligible")
    ]


def test_every_key_of_a_draft_counts(crowd: Ledgers) -> None:
    """Caps, passes and betas, not waits alone."""
    more = "[[cap]]\nsittings = 1\n[pass]\nretake = 'never'\n[beta]\nsittings = 0\n"
    stricter = draft("ours", "PT24H", more=more)
    assert changed(asked(crowd.told(DAY_WAIT, X, *TWICE), stricter)) == [
        ("R-2", "refused", "eligible", "cap-reached")
    ]
    opened = exam("B", policy="ours", beta_opens="2021-01-01")
    sat = beta("B", on="2021-04-01", reg="R-1")
    assert changed(asked(crowd.told(DAY_WAIT, opened, sat), stricter)) == [
        ("R-1", "refused", "eligible", "beta-taken")
    ]
    again = passed("X", on="2021-04-01", reg="R-1"), failed("X", on="2021-05-01", reg="R-2")
    milder = draft("ours", "PT24H", more="[pass]\nretake = 'always'\n")
    assert changed(asked(crowd.told(DAY_WAIT, X, *again), milder)) == [
        ("R-2", "allowed", "passed", "eligible")
    ]


def test_a_later_version_takes_over_from_a_draft(crowd: Ledgers) -> None:
    """A draft is one version among those published: from its first day until the next one's."""
    first = at("2022-01-01")
    next_year = policy(draft("ours", "PT24H", "2022-01-01T00:00:00Z").toml, on="2021-12-01")
    old = [failed("X", on="2021-04-01", reg="A-1"), failed("X", on="2021-04-03", reg="A-2")]
    new = [failed("X", on="2022-04-01", reg="B-1"), failed("X", on="2022-04-03", reg="B-2")]
    everyone = crowd.told(DAY_WAIT, next_year, X, *old, *new)
    assert changed(asked(everyone, draft("ours", "P7D"))) == [
        ("A-2", "refused", "eligible", "waiting")
    ]
    on_the_same_day = draft("ours", "P7D", "2022-01-01T00:00:00Z")
    assert changed(asked(everyone, on_the_same_day)) == [("B-2", "refused", "eligible", "waiting")]
    both = asked(everyone, draft("ours", "P7D"), on_the_same_day)
    assert both.until == (first, None)
    assert asked(everyone, on_the_same_day, draft("ours", "P7D")).until == (None, first)
    assert [row[0] for row in changed(both)] == ["A-2", "B-2"]


def test_of_two_drafts_of_one_day_the_later_holds(crowd: Ledgers) -> None:
    """As if published in the order given."""
    everyone = crowd.told(DAY_WAIT, X, *TWICE)
    strict, mild = draft("ours", "P7D"), draft("ours", "PT1H")
    assert changed(asked(everyone, strict, mild)) == []
    assert len(changed(asked(everyone, mild, strict))) == 1


def test_a_draft_before_all_versions_holds_before_its_first_day_too(crowd: Ledgers) -> None:
    """As the first version does; one after another holds from its first day on."""
    later = policy(draft("ours", "PT24H", "2022-01-01T00:00:00Z").toml, on="2021-01-02")
    everyone = crowd.told(later, X, *TWICE)
    between = "2021-06-01T00:00:00Z", "2023-01-01T00:00:00Z"
    found = [changed(asked(everyone, draft("ours", "P7D", begins))) for begins in between]
    assert found == [[("R-2", "refused", "eligible", "waiting")], []]


def test_a_draft_whose_policy_was_never_published_is_the_first(crowd: Ledgers) -> None:
    """An exam that named it was unknown without it; its sittings were refused till then."""
    everyone = crowd.told(X, *TWICE)
    assert changed(asked(everyone, draft("ours", "PT24H"))) == [
        ("R-1", "allowed", "unknown-exam", "eligible"),
        ("R-2", "allowed", "unknown-exam", "eligible"),
    ]


def test_a_draft_that_no_exam_follows_is_told(crowd: Ledgers) -> None:
    """A slip in its id must not look like a harmless policy."""
    everyone = crowd.told(DAY_WAIT, X, *TWICE)
    compared = asked(everyone, draft("ours", "P7D"), draft("our", "P7D"))
    assert compared.idle == ("our",)
    assert len(changed(compared)) == 1
