"""What one candidate's facts cost grows with their number, not with its square.

Steps are counted, not seconds: lines of Python that run, loops and comprehensions with every turn.
Twice the facts may add twice the steps, and a little, but not four times.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from auditing import rows
from example_ledger import Ledgers, bound
from scenarios import (
    Line,
    annulled,
    attempted,
    authorized,
    certification,
    earned,
    exam,
    failed,
    granted,
    passed,
    policy,
    rejected,
    renewed,
    requested,
    result,
    withdrawn,
)

from projections.remarks import remarks_of
from projections.standing import Moment
from replay.between import changes
from replay.bookings import difference
from replay.desk import Desk
from replay.interpreted import INTERPRETED
from replay.read_model.build import Options
from replay.read_model.rebuild import rebuild
from replay.snapshot import Snapshot
from retake_policies import shipped

BEGIN: Final = datetime(2010, 1, 1, 9, tzinfo=UTC)
X: Final = "AZ-104"
GENERAL: Final = dict(shipped())["general"]
SIZES: Final = (20, 40, 80)
AT_MOST: Final = 2.8
"""How often the steps that the first facts add the next, twice as many, may add."""


def day(n: float) -> datetime:
    """Return a day of the history, counted from its beginning."""
    return BEGIN + timedelta(days=n)


def sittings(n: int) -> Iterator[Line]:
    """Failed sittings, one a day."""
    for i in range(n):
        yield failed(X, on=day(i), reg=f"R-{i}")


def grants(n: int) -> Iterator[Line]:
    """Each sitting with a request and the grant that the next sitting uses."""
    for i in range(n):
        yield failed(X, on=day(i), reg=f"R-{i}")
        yield requested(X, on=day(i + 0.2), reg=f"R-{i}", request=f"Q-{i}")
        yield granted(X, on=day(i + 0.4), request=f"Q-{i}")


def rejections(n: int) -> Iterator[Line]:
    """Requests for one sitting, each rejected."""
    yield failed(X, on=day(0), reg="R-0")
    for i in range(n):
        yield requested(X, on=day(i + 0.2), reg="R-0", request=f"Q-{i}")
        yield rejected(X, on=day(i + 0.4), request=f"Q-{i}")


def one_request(n: int) -> Iterator[Line]:
    """One request, granted and withdrawn again and again."""
    yield failed(X, on=day(0), reg="R-0")
    yield requested(X, on=day(0.1), reg="R-0", request="Q")
    for i in range(n):
        yield granted(X, on=day(i + 0.2), request="Q")
        yield withdrawn(X, on=day(i + 0.4), request="Q")


def corrections(n: int) -> Iterator[Line]:
    """One sitting whose result is said again and again."""
    yield attempted(X, on=day(0), reg="R-0")
    for i in range(n):
        yield result(X, reg="R-0", on=day(i + 0.5), passed=i % 2 == 1)


def annulments(n: int) -> Iterator[Line]:
    """Sittings whose results were recorded in error."""
    for i in range(n):
        yield failed(X, on=day(i), reg=f"R-{i}")
        yield annulled(f"R-{i}/result", on=day(i + 0.5))


def renewals(n: int) -> Iterator[Line]:
    """One certification, renewed again and again."""
    yield passed(X, on=day(0), reg="R-0")
    yield earned("admin", on=day(0.5), expires=day(400))
    for i in range(n):
        yield renewed("admin", on=day(i + 1), expires=day(i + 401))


def certifications(n: int) -> Iterator[Line]:
    """Many certifications that cover the exam."""
    yield passed(X, on=day(0), reg="R-0")
    for i in range(n):
        yield earned(f"K-{i}", on=day(i + 0.5), expires=day(i + 400), exams=[X])


def definitions(n: int) -> Iterator[Line]:
    """An exam whose entry in the catalogue changes again and again."""
    yield failed(X, on=day(0), reg="R-0")
    for i in range(n):
        yield exam(X, on=day(i))


def versions(n: int) -> Iterator[Line]:
    """A policy of many versions."""
    yield failed(X, on=day(0), reg="R-0")
    for i in range(n):
        yield policy(GENERAL.replace("2021-03-31T00", f"{2021 + i}-03-31T00"), on=day(i))


def exams(n: int) -> Iterator[Line]:
    """Sittings of many exams."""
    for i in range(n):
        yield failed(f"X-{i}", on=day(i), reg=f"R-{i}")


def unheard(n: int) -> Iterator[Line]:
    """Sittings of many exams that nobody announced."""
    for i in range(n):
        yield failed(f"Y-{i}", on=day(i), reg=f"R-{i}")


def results_first(n: int) -> Iterator[Line]:
    """Sittings whose results come before they begin."""
    for i in range(n):
        yield result(X, reg=f"R-{i}", on=day(i), passed=False)
        yield attempted(X, on=day(i + 0.2), reg=f"R-{i}")


def passes(n: int) -> Iterator[Line]:
    """Each sitting passed, and a certification that is renewed by it."""
    yield earned("admin", on=day(0), expires=day(2))
    for i in range(n):
        yield passed(X, on=day(3 * i + 3), reg=f"R-{i}")
        yield renewed("admin", on=day(3 * i + 3.5), expires=day(3 * i + 5))


CROWDED: Final = """
id = "own"
title = "Waits by how many sittings are near, and a rolling cap"
source = "urn:test"
effective_from = 2005-01-01T00:00:00Z

[wait]
after = ["P1D", "P2D"]
within = "P100Y"
zone = "Europe/Berlin"

[[cap]]
sittings = 3
period = "P1200M"
anchor = "rolling"
"""


def crowded(n: int) -> Iterator[Line]:
    """Sittings that all lie in the window of a cap, and near each other."""
    yield policy(CROWDED)
    yield exam(X, policy="own", on=day(-1))
    yield from sittings(n)


ON_PAPER: Final = """
id = "own"
title = "Each authorization for two sittings"
source = "urn:test"
effective_from = 2005-01-01T00:00:00Z

[authorization]
required = true
sittings = 2
"""


def authorizations(n: int) -> Iterator[Line]:
    """Each sitting with an authorization before it, which may serve two."""
    yield policy(ON_PAPER)
    yield exam(X, policy="own", on=day(-1))
    for i in range(n):
        yield authorized(X, on=day(i), id=f"A-{i}")
        yield failed(X, on=day(i + 0.5), reg=f"R-{i}")


def same_instant(n: int) -> Iterator[Line]:
    """Sittings that all began at one instant, every other one passed."""
    for i in range(n):
        yield (passed if i % 2 else failed)(X, on=day(0), reg=f"R-{i}")


def certified(n: int) -> Iterator[Line]:
    """Each sitting passed, and a certification earned by it that covers the exam."""
    for i in range(n):
        yield passed(X, on=day(i), reg=f"R-{i}")
        yield earned(f"K-{i}", on=day(i + 0.5), expires=day(i + 400), exams=[X])


def late_results(n: int) -> Iterator[Line]:
    """Sittings, and of each another result that becomes known when all have been."""
    yield from sittings(n)
    for i in range(n):
        yield result(X, reg=f"R-{i}", on=day(i + 0.1), passed=i % 2 == 1)


def version(i: int, when: datetime, wait: str = "PT24H") -> Line:
    """Publish a version of the policy a year before anything, in force from an instant."""
    text = GENERAL.replace("2021-03-31T00:00:00Z", when.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return policy(text.replace("PT24H", wait, 1), on=day(i - 365))


def published_again(n: int) -> Iterator[Line]:
    """A version of the policy between each two sittings, with the rules of the one before."""
    for i in range(n):
        yield version(i, day(i - 0.5))
        yield failed(X, on=day(i), reg=f"R-{i}")


def announced_again(n: int) -> Iterator[Line]:
    """The exam announced between each two sittings, as it was before."""
    for i in range(n):
        yield exam(X, on=day(i - 0.5))
        yield failed(X, on=day(i), reg=f"R-{i}")


def defined_again(n: int) -> Iterator[Line]:
    """A certification whose exams change between each two passes, but for this one."""
    yield earned("admin", on=day(0), expires=day(2))
    for i in range(n):
        yield certification("admin", exams=[X, f"Y-{i}"], on=day(3 * i + 2.5))
        yield passed(X, on=day(3 * i + 3), reg=f"R-{i}")
        yield renewed("admin", on=day(3 * i + 3.5), expires=day(3 * i + 5))


def defined_then(n: int) -> Iterator[Line]:
    """Certifications, each defined and earned between two passes."""
    for i in range(n):
        yield certification(f"K-{i}", exams=[X], on=day(3 * i + 2.5))
        yield passed(X, on=day(3 * i + 3), reg=f"R-{i}")
        yield earned(f"K-{i}", on=day(3 * i + 3.5), expires=day(3 * i + 5))


def ample(n: int) -> Iterator[Line]:
    """Sittings in the window of a cap that allows half of them."""
    yield policy(CROWDED.replace("sittings = 3", f"sittings = {n // 2}"))
    yield exam(X, policy="own", on=day(-1))
    yield from sittings(n)


KINDS: Final[Mapping[str, Callable[[int], Iterator[Line]]]] = {
    each.__name__: each
    for each in (
        sittings, grants, rejections, one_request, corrections, annulments, renewals,
        certifications, definitions, versions, exams, unheard, results_first,
        passes, crowded, same_instant, certified, late_results, authorizations,
        published_again, announced_again, defined_again, defined_then, ample,
    )
}  # fmt: skip


def audit(name: str, **said: Any) -> Callable[[Snapshot], object]:
    """Ask an audit query."""
    return lambda snapshot: rows(snapshot.ledger, name, **said)


def remarks(snapshot: Snapshot) -> object:
    """Ask what there is to say beside a standing."""
    history = snapshot.history("C-1")
    return remarks_of(snapshot.standing("C-1", X), history, snapshot.catalogue)


QUESTIONS: Final[Mapping[str, Callable[[Snapshot], object]]] = {
    "standing": lambda snapshot: snapshot.standing("C-1", X),
    "standing then": lambda s: s.at(Moment(s.as_of // 2, None, s.position)).standing("C-1", X),
    "standings": lambda snapshot: snapshot.standings("C-1"),
    "remarks": remarks,
    "requests": lambda snapshot: list(Desk(snapshot.ledger).requests(snapshot.moment)),
    "audit history": audit("history", candidate="C-1"),
    "audit exceptions": audit("exceptions"),
    "audit backdated": audit("backdated", changes=True, by="PT1S"),
}


def project(snapshot: Snapshot) -> object:
    """Build a read model, by the loops as they are for a small ledger."""
    with TemporaryDirectory() as folder:
        options = Options(lambda events: INTERPRETED)
        return rebuild(snapshot.ledger, Path(folder) / "views", options, print)


def earlier(snapshot: Snapshot) -> Snapshot:
    """Return the ledger in the middle of what is recorded."""
    return snapshot.at(Moment(snapshot.as_of, None, snapshot.position // 2))


OF_EVERYBODY: Final[Mapping[str, Callable[[Snapshot], object]]] = {
    "replay": lambda snapshot: snapshot.everybody(),
    "violations": lambda snapshot: snapshot.violations(),
    "sittings": lambda snapshot: snapshot.table("sittings"),
    "exceptions": lambda snapshot: snapshot.table("exceptions"),
    "problems": lambda snapshot: snapshot.table("problems"),
    "diff": lambda snapshot: earlier(snapshot).diff(snapshot),
    "changes": lambda snapshot: changes(earlier(snapshot), snapshot),
    "booking": lambda snapshot: list(difference(earlier(snapshot), snapshot)),
    "what-if": lambda snapshot: snapshot.what_if([("general", GENERAL)]),
    "report": lambda snapshot: snapshot.report("violations", start=None, end=None),
    "project": project,
}
"""Questions about everybody, on the loops that are interpreted in a small ledger."""


MANY_SITTINGS: Final = (
    "sittings", "grants", "results_first", "crowded", "same_instant", "annulments", "certified",
    "certifications", "late_results", "authorizations", "ample",
)  # fmt: skip
"""The kinds of which everybody is asked about too."""

OF_THE_CATALOGUE: Final = ("published_again", "announced_again", "defined_again", "defined_then")
"""The kinds with as many entries of the catalogue."""

OF_EACH_SITTING: Final = ("standings", "audit history", "violations", "sittings", "booking")
"""The questions that ask of each sitting what the catalogue says, and all that is to come."""


def steps(question: Callable[[Snapshot], object], snapshot: Snapshot) -> int:
    """Count the lines that run while a question is answered."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    question(snapshot)  # what is made once is made
    before = sys.gettrace()
    sys.settrace(trace)
    threading.settrace(trace)  # parts of the columns are folded in threads
    try:
        question(snapshot)
    finally:
        sys.settrace(before)
        threading.settrace(None)
    return count


def versions_between(n: int) -> Iterator[Line]:
    """A version of the policy with other rules between each two sittings."""
    for i in range(n):
        yield version(i, day(i - 0.5), f"PT{24 + i}H")
        yield failed(X, on=day(i), reg=f"R-{i}")


def versions_to_come(n: int) -> Iterator[Line]:
    """Sittings, and versions of the policy with other rules, all of them still to come."""
    for i in range(n):
        yield version(0, day(1000 + i), f"PT{24 + i}H")
    for i in range(n):
        yield attempted(X, on=day(i), reg=f"R-{i}")


def exams_and_certifications(n: int) -> Iterator[Line]:
    """Sittings of many exams, and many certifications."""
    for i in range(n):
        yield exam(f"X-{i}")
        yield failed(f"X-{i}", on=day(i), reg=f"R-{i}")
        yield earned(f"K-{i}", on=day(i + 0.5), expires=day(i + 400), exams=[X])


PRODUCTS: Final[Mapping[str, Callable[[int], Iterator[Line]]]] = {
    each.__name__: each for each in (versions_between, versions_to_come, exams_and_certifications)
}
AT_MOST_A_PRODUCT: Final = 4.6
"""The same where twice as many of both may take four times the steps, but not eight times."""


@pytest.mark.parametrize("kind", KINDS)
def test_twice_the_facts_take_twice_the_steps(kind: str, tmp_path: Path) -> None:
    """Every question about one candidate, whatever there are many of."""
    asked = {**QUESTIONS, **(OF_EVERYBODY if kind in MANY_SITTINGS else {})}
    if kind in OF_THE_CATALOGUE:
        asked = {name: {**QUESTIONS, **OF_EVERYBODY}[name] for name in OF_EACH_SITTING}
    assert faster(taken(KINDS[kind], asked, SIZES, tmp_path), AT_MOST) == {}


@pytest.mark.parametrize("kind", PRODUCTS)
def test_what_is_asked_of_each_two_takes_their_product(kind: str, tmp_path: Path) -> None:
    """Two numbers that are asked about together take their product, and not more.

    Each sitting is judged by the version of the policy in force when it began, and all sittings
    before it are walked by that version's rules (spec section 4): where each is another, that is a
    walk for each. From when a candidate is eligible is looked for under each version to come, for
    each sitting: where none of them frees the candidate all are asked, though the sittings before
    are not walked again by each. And of each exam it is asked which certifications cover it.
    """
    asked = {name: {**QUESTIONS, **OF_EVERYBODY}[name] for name in OF_EACH_SITTING}
    counted = taken(PRODUCTS[kind], asked, [size // 2 for size in SIZES], tmp_path)
    assert faster(counted, AT_MOST_A_PRODUCT) == {}


def taken(
    kind: Callable[[int], Iterator[Line]], asked: Mapping[str, Callable[[Snapshot], object]],
    sizes: Sequence[int], folder: Path,
) -> dict[str, list[int]]:  # fmt: skip
    """Count the steps of each question over so many facts of a kind."""
    counted: dict[str, list[int]] = {name: [] for name in asked}
    with Ledgers(folder) as made:
        for size in sizes:
            catalogue = exam(X), certification("admin", exams=[X])
            more = [exam(f"X-{i}") for i in range(size)] if kind is exams else []
            snapshot = bound(made.told(*catalogue, *more, *kind(size)).ledger, small=10**9)
            if kind not in (exams, unheard, exams_and_certifications):
                assert snapshot.standing("C-1", X).policy is not None
            for name, question in asked.items():
                counted[name].append(steps(question, snapshot))
    return counted


def faster(counted: Mapping[str, Sequence[int]], most: float) -> dict[str, Sequence[int]]:
    """Return the counts that grow faster than they may."""
    return {
        name: (few, some, many)
        for name, (few, some, many) in counted.items()
        if (many - some) / max(some - few, few // 10) > most
    }
