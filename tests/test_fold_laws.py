"""What is true of every standing, whatever the policies, the catalogue and the history.

Worlds are random (`strategies.py`). Where a law needs a second opinion it is `plain_reading.py`, or
the fold itself, asked at every instant at which anything could change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from plain_reading import Reading, boundaries, policies_of
from standing_checks import assert_sound
from strategies import Asking, World, asking, randomness, world, worlds_asked
from test_cases import assert_reads

from ledger.events import Outline, Recorded
from ledger.models import EVENT_TYPES
from projections.answers import Standing
from projections.catalogue import Catalogue, catalogue_of
from projections.fold.rules import STATUSES
from projections.history import history_of
from projections.problems import UNKNOWN_EXAM
from projections.standing import Moment, standing_of

laws = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def answer(
    asked: Asking, catalogue: Sequence[Recorded] | Catalogue, mine: Sequence[Recorded]
) -> Standing:
    """Answer a question from the rows of the catalogue (or itself) and of the candidate."""
    entries = catalogue if isinstance(catalogue, Catalogue) else catalogue_of(catalogue)
    moment = Moment(asked.as_of, 0, asked.known)
    return standing_of(asked.who, asked.exam, history_of(mine, entries), entries, moment)


def of_world(world: World, asked: Asking) -> Standing:
    """Answer a question from all that is recorded."""
    return answer(asked, world.catalogue, world.of(asked.who))


def standing_at(rows: Iterable[Recorded], known: int) -> list[Recorded]:
    """Keep what is known at a position and not annulled by then; annulments are left out."""
    so_far = [row for row in rows if row.position <= known]
    annulled = {row.annuls for row in so_far}
    return [row for row in so_far if row.annuls is None and row.position not in annulled]


def visible(world: World, asked: Asking) -> list[Recorded]:
    """Cut the candidate's rows to those visible at the question's as_of and position."""
    known = standing_at(world.of(asked.who), asked.known)
    return [row for row in known if row.occurred_at <= asked.as_of]


@laws
@given(worlds_asked(), randomness())
def test_the_order_in_which_rows_are_given_does_not_matter(
    asked_world: tuple[World, Asking], random: Random
) -> None:
    """Positions and times order facts; the order of a list never does."""
    world, asked = asked_world
    catalogue, mine = world.catalogue, world.of(asked.who)
    random.shuffle(catalogue)
    random.shuffle(mine)
    assert answer(asked, catalogue, mine) == of_world(world, asked)


@settings(laws, max_examples=40)
@given(randomness())
def test_one_catalogue_answers_many_as_a_new_one_answers_each(random: Random) -> None:
    """What is looked up of it once serves no question that it would answer otherwise."""
    made = world(random, people=2)
    catalogue = catalogue_of(made.catalogue)
    for _ in range(6):
        asked = asking(random, made)
        assert answer(asked, catalogue, made.of(asked.who)) == of_world(made, asked)


@settings(laws, max_examples=80)
@given(worlds_asked())
def test_a_standing_is_made_of_outlines(asked_world: tuple[World, Asking]) -> None:
    """What an outline leaves out is in no answer, or is read."""
    world, asked = asked_world
    whole = {row.position: row for row in world.of(asked.who)}
    outlines = [
        Outline(
            *(getattr(row, name) for name in Outline._fields[:-1]),
            data=row.data if row.exam is None else None,
        )
        for row in whole.values()
    ]
    catalogue, moment = catalogue_of(world.catalogue), Moment(asked.as_of, 0, asked.known)
    history = history_of(outlines, catalogue, read=lambda at: {each: whole[each] for each in at})
    found = standing_of(asked.who, asked.exam, history, catalogue, moment)
    assert found == of_world(world, asked)


@laws
@given(worlds_asked())
def test_only_the_visible_matters(asked_world: tuple[World, Asking]) -> None:
    """A history cut to what is visible at (as_of, known_at) gives the same answer, all of it."""
    world, asked = asked_world
    catalogue = standing_at(world.catalogue, asked.known)
    assert answer(asked, catalogue, visible(world, asked)) == of_world(world, asked)


@laws
@given(worlds_asked())
def test_annulled_is_never_recorded_once_that_is_known(asked_world: tuple[World, Asking]) -> None:
    """Taking a fact and its annulment out changes no answer known after, for any as_of."""
    world, asked = asked_world
    known = len(world.rows)
    out = {row.annuls for row in world.rows if row.annuls is not None}
    left = [row for row in world.rows if row.position not in out and row.annuls is None]
    clean = World(left, world.people)
    later = asked._replace(known=known)
    assert of_world(clean, later) == of_world(world, later)


@laws
@given(worlds_asked())
def test_an_annulment_changes_nothing_known_before_it(asked_world: tuple[World, Asking]) -> None:
    """Who knew the fact and not yet the annulment is answered as if it never came."""
    world, asked = asked_world
    before = min((row.position for row in world.rows if row.annuls), default=len(world.rows) + 1)
    clean = World([row for row in world.rows if row.annuls is None], world.people)
    earlier = asked._replace(known=before - 1)
    assert of_world(clean, earlier) == of_world(world, earlier)


@laws
@given(worlds_asked())
def test_sittings_and_exceptions_of_another_exam_do_not_matter(
    asked_world: tuple[World, Asking],
) -> None:
    """One exam, one count; only certifications reach over."""
    world, asked = asked_world
    mine = [row for row in world.of(asked.who) if row.exam in (None, asked.exam)]
    alone = answer(asked, world.catalogue, mine)
    beside = of_world(world, asked)
    # They show that the candidate is known, and may have been meant for this one.
    assert alone == beside.model_copy(
        update={
            "known": alone.known,
            "problems": tuple(each for each in beside.problems if each.code != UNKNOWN_EXAM),
        }
    )


@laws
@given(worlds_asked())
def test_a_standing_agrees_with_itself(asked_world: tuple[World, Asking]) -> None:
    """Its status is its first reason, its bounds lie ahead, its JSON reads back as itself."""
    world, asked = asked_world
    standing = of_world(world, asked)
    assert_sound(standing)
    codes = [reason.code for reason in standing.reasons + standing.waived]
    assert len(set(codes)) == len(codes)
    for reasons in (standing.reasons, standing.waived):
        order = [STATUSES.index(reason.code) for reason in reasons]
        assert order == sorted(order)
    assert (standing.policy is None) == (standing.status == "unknown-exam")
    if standing.status == "unknown-exam":
        assert codes == ["unknown-exam"]
    starts = [sitting.started_at for sitting in standing.sittings]
    assert starts == sorted(starts)
    assert not starts or starts[-1] <= standing.as_of


@laws
@given(worlds_asked())
def test_every_cause_is_a_fact_that_is_known(asked_world: tuple[World, Asking]) -> None:
    """Whatever a reason names can be looked up: visible, or known of the catalogue."""
    world, asked = asked_world
    facts = [*standing_at(world.catalogue, asked.known), *visible(world, asked)]
    there = {(row.source, row.id) for row in facts}
    standing = of_world(world, asked)
    for reason in standing.reasons + standing.waived:
        assert {(cause.source, cause.id) for cause in reason.because} <= there


@laws
@given(worlds_asked())
def test_the_fold_says_what_the_plain_reading_says(asked_world: tuple[World, Asking]) -> None:
    """Reasons and their ends, series, period, policy, sittings, and the first free instant."""
    world, asked = asked_world
    rows = [*world.catalogue, *world.of(asked.who)]
    reading = Reading(rows, asked.exam, asked.as_of, asked.known, asked.who)
    assert_reads(reading, of_world(world, asked), boundaries(rows, asked.exam))


def ahead_of(world: World, asked: Asking, random: Random) -> list[int]:
    """Return every instant after as_of at which anything may change, and some in between."""
    rows = [*world.catalogue, *world.of(asked.who)]
    ahead = [i for i in boundaries(rows, asked.exam) if i > asked.as_of]
    between = [random.randint(asked.as_of + 1, max(ahead, default=asked.as_of + 2) + 1)
               for _ in range(10)]  # fmt: skip
    return sorted({*ahead, *between, asked.as_of + 1})


def content(standing: Standing) -> dict[str, Any]:
    """All of a standing but what may differ while nothing changes."""
    return standing.model_dump(exclude={"as_of", "next_change_at"})


@laws
@given(worlds_asked(), randomness())
def test_looking_ahead_is_asking_at_every_instant(
    asked_world: tuple[World, Asking], random: Random
) -> None:
    """eligible_from and next_change_at are the first instants, of all, that are so.

    "The same fold at t over the facts visible at (as_of, known_at)": the visible facts are cut
    out, and the fold is asked about them at each instant.
    """
    world, asked = asked_world
    standing = of_world(world, asked)
    catalogue, mine = catalogue_of(world.catalogue), visible(world, asked)
    free, changed = None, None
    for t in ahead_of(world, asked, random):
        then = answer(asked._replace(as_of=t), catalogue, mine)
        if free is None and then.eligible:
            free = t
        if changed is None and content(then) != content(standing):
            changed = t
        if free is not None and changed is not None:
            break
    assert standing.next_change_at == changed
    assert standing.eligible_from == (None if standing.eligible else free)


@laws
@given(worlds_asked(), randomness())
def test_what_lies_ahead_stays_so_until_it_comes(
    asked_world: tuple[World, Asking], random: Random
) -> None:
    """Asked anywhere before the next change, over the same facts, the answer is the same."""
    world, asked = asked_world
    standing = of_world(world, asked)
    last = 253_402_300_799_999_999 if standing.next_change_at is None else standing.next_change_at
    t = random.randint(asked.as_of, last - 1)
    then = answer(asked._replace(as_of=t), world.catalogue, visible(world, asked))
    assert content(then) == content(standing)
    assert then.next_change_at == standing.next_change_at


def test_the_worlds_are_rich() -> None:
    """Each reason, event, policy value and oddity occurs often enough to be met by the laws."""
    seen: Counter[str] = Counter()
    types: Counter[str] = Counter()
    for seed in range(1_500):
        random = Random(seed)
        made = world(random)
        asked = asking(random, made)
        standing = of_world(made, asked)
        types.update({row.type for row in made.rows})
        seen.update({reason.code for reason in standing.reasons})
        seen.update(f"waived {reason.code}" for reason in standing.waived)
        seen[standing.status] += standing.eligible
        ends = [reason.until for reason in standing.reasons]
        seen["free at the end of a reason"] += (
            standing.eligible_from in ends[:1] and ends[0] is not None
        )
        seen["free at no reason's end"] += standing.eligible_from not in [*ends, None]
        seen["assumed"] += standing.policy is not None and standing.policy.assumed
        seen["several series"] += [s.ordinal for s in standing.sittings].count(1) > 1
        seen["several reasons"] += len(standing.reasons) > 1
        seen["expected"] += any(reason.expected for reason in standing.reasons)
        for policy in policies_of(row for row in made.rows if row.type == "PolicyPublished"):
            seen.update({f"cap {cap.anchor}" for cap in policy.cap if cap.period})
            seen.update({"cap for life" for cap in policy.cap if cap.for_life})
            seen.update({"cap of a year" for cap in policy.cap if cap.anchor == "calendar-year"})
            seen[f"retake {policy.pass_.retake}"] += 1
            seen[f"days {policy.wait.days}"] += 1
            seen[f"from {policy.wait.from_}"] += 1
            seen[f"counts {policy.beta.counts}"] += 1
    assert set(types) == set(EVENT_TYPES)
    assert set(STATUSES) <= set(seen)
    assert [name for name, count in seen.items() if count < 10] == []
    assert [name for name, count in types.items() if count < 10] == []
