"""Random worlds: policies, a catalogue, candidates' histories, and questions about them.

Made from anything with the methods of `random.Random`, so that one generator serves both:
hypothesis draws and shrinks (`worlds_asked()`), and a seed gives the same world for ever
(`world(Random(7))`). Times are drawn so that they often fall on a boundary, or a microsecond
beside it; facts come in any order, some late, some annulled, some contradicting each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from hypothesis import strategies as st
from plain_reading import boundaries
from plain_values import at, text
from scenarios import (
    SHIPPED,
    Line,
    annulled,
    attempted,
    authorized,
    certification,
    earned,
    exam,
    expired,
    forgotten,
    granted,
    missed,
    policy,
    recorded,
    rejected,
    renewed,
    requested,
    rescored,
    result,
    retired,
    revoked,
    unauthorized,
    went_live,
    withdrawn,
)

from ledger.events import Recorded

SECOND: Final = 1_000_000
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR

EXAMS: Final = ("X", "Y")
CERTIFICATIONS: Final = ("CERT", "OTHER")
POLICIES: Final = ("ours", "theirs")
FOLLOWED: Final = ("general", "theirs", "theirs", "theirs", *["ours"] * 9)
NEARBY: Final = ("2024-02-28T09:00Z", "2023-12-30T23:59:59Z", "2021-03-26T01:30Z",
                 "2021-10-30T00:30Z", "2021-11-05T23:30Z", "2018-11-02T12:00Z",
                 "2011-12-28T20:00Z")  # fmt: skip
"""Where histories begin: before leap days, year ends, gaps and folds of the zones below."""
ZONES: Final = ("UTC", "UTC", "Europe/Berlin", "America/Havana", "America/Sao_Paulo",
                "Pacific/Apia", "Australia/Lord_Howe")  # fmt: skip
STEPS: Final = (0, 1, HOUR, 12 * HOUR, DAY, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 14 * DAY, 30 * DAY,
                60 * DAY, 91 * DAY, 365 * DAY)  # fmt: skip
WAITS: Final = ("PT0S", "PT24H", "PT48H", "PT90M", "P0D", "P1D", "P7D", "P14D", "P14D", "P90D",
                "P1M", "P6M")  # fmt: skip
PERIODS: Final = ("P1D", "P30D", "P1M", "P6M", "P12M")
DAYS_OF_THE_YEAR: Final = (("01-01",), ("07-01",), ("03-01", "03-31"), ("01-01", "03-27", "11-01"))
AFTER_LIVE: Final = (("PT12H", "P1D"), ("P7D", "P10D"), ("P1M", "P2M"))


class World(NamedTuple):
    """All that is recorded, of a catalogue and of some candidates."""

    rows: list[Recorded]
    people: tuple[str, ...]

    def of(self, who: str) -> list[Recorded]:
        """Return the rows of one candidate."""
        return [row for row in self.rows if row.stream == f"candidate/{who}"]

    @property
    def catalogue(self) -> list[Recorded]:
        """Return the rows of the catalogue."""
        return [row for row in self.rows if not row.stream.startswith("candidate/")]


class Asking(NamedTuple):
    """A question about a world."""

    who: str
    exam: str
    as_of: int
    known: int


def chance(random: Random, percent: int) -> bool:
    """Say yes that often."""
    return random.randint(1, 100) <= percent


def about(random: Random, instant: int) -> int:
    """Return an instant, or sometimes one a microsecond beside it."""
    return instant + random.choice((0, 0, 0, -1, 1))


# --- policies --------------------------------------------------------------------------------


def wait_lines(random: Random) -> list[str]:
    """Write [wait]."""
    waits = [random.choice(WAITS) for _ in range(random.choice((0, 1, 2, 3, 3)))]
    lines = ["[wait]", f"after = {waits}".replace("'", '"')]
    lines.append(f'from = "{random.choice(("start", "start", "end"))}"')
    lines.append(f'days = "{random.choice(("elapsed", "elapsed", "calendar", "clear"))}"')
    lines.append(f'zone = "{random.choice(ZONES)}"')
    if waits and chance(random, 35):
        lines.append(f'within = "{random.choice(PERIODS)}"')
    return lines


def cap_lines(random: Random, anchor: str, about_then: int) -> list[str]:
    """Write a [[cap]] of an anchor, or for life."""
    lines = ["[[cap]]", f"sittings = {random.choice((1, 2, 2, 3, 5))}"]
    if anchor != "life":
        lines.append(f'anchor = "{anchor}"')
    if anchor in ("first-sitting", "last-sitting", "rolling"):
        lines.append(f'period = "{random.choice(PERIODS)}"')
    if anchor == "rolling" and chance(random, 50):
        lines.append(f'by = "{random.choice(("date", "date", "instant"))}"')
    if anchor == "calendar":
        starts: Sequence[str] = random.choice(DAYS_OF_THE_YEAR)
        if chance(random, 40):
            days = sorted(random.sample((-40, 0, 1, 14, 60, 370), random.randint(1, 3)))
            starts = [text(about_then + day * DAY)[:10] for day in days]
        lines.append(f"starts = {[*starts]}".replace("'", '"'))
        if chance(random, 60):
            lines.append(f"periods = {random.choice((1, 2, 3, 4))}")
    if anchor not in ("first-sitting", "last-sitting") and chance(random, 30):
        since = about(random, about_then + random.choice((-1, 0, 0, 1, 14, 60)) * DAY)
        lines.append(f"since = {text(since)}")
    return lines


def pass_lines(random: Random) -> list[str]:
    """Write [pass]."""
    retake = random.choice((*("after-expiry",) * 4, "never", "always", "after", "after"))
    lines = ["[pass]", f'retake = "{retake}"']
    if retake == "after":
        lines.append(f'after = "{random.choice(PERIODS)}"')
    if retake == "after-expiry" and chance(random, 45):
        lines.append(f'before_expiry = "{random.choice(PERIODS)}"')
    return lines


def policy_text(random: Random, id: str, effective_from: int) -> str:
    """Write a policy; every key is there in some."""
    lines = [f'id = "{id}"', f"effective_from = {text(effective_from)}", *wait_lines(random)]
    anchored = False
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        anchors = ["rolling", "rolling", "calendar", "calendar", "calendar-year", "life"]
        if not anchored:
            anchors = [*("first-sitting",) * 3, "last-sitting", "last-sitting", *anchors]
        anchor = random.choice(anchors)
        lines += cap_lines(random, anchor, effective_from)
        anchored = anchored or anchor in ("first-sitting", "last-sitting")
    lines += pass_lines(random)
    if chance(random, 35):
        lines += ["[authorization]", f"required = {random.choice(('true', 'true', 'false'))}"]
        if lines[-1].endswith("true") and chance(random, 50):
            lines.append(f"sittings = {random.choice((1, 1, 2, 3))}")
    if chance(random, 50):
        lines += ["[missed]", f"counts = {random.choice(('true', 'true', 'false'))}"]
    lines += ["[beta]", f"sittings = {random.choice((0, 1, 1, 2))}"]
    lines.append(f"counts = {random.choice(('false', 'false', 'true'))}")
    if chance(random, 70):
        first, last = random.choice(AFTER_LIVE)
        lines.append(f'results_after_live = ["{first}", "{last}"]')
    if chance(random, 70):
        lines.append(f'overdue_after_live = "{random.choice(("PT36H", "P14D", "P1M"))}"')
    if chance(random, 50):
        waives = random.choice(('"wait", "cap"', '"wait", "cap"', '"wait", "cap", "passed"'))
        lines += ["[exception]", f"waives = [{waives}]", 'reasons = ["lab-crash"]']
        lines += ['required = ["email"]', f"# {random.randint(0, 9)}"]
    return "\n".join(lines) + "\n"


def policy_lines(random: Random, begins: int) -> list[Line]:
    """Publish versions of policies, some of one day, some before what they apply to."""
    lines = []
    for id in POLICIES if chance(random, 95) else POLICIES[:1]:
        effective_from = begins - random.choice((400, 400, 0, -20)) * DAY
        for _ in range(random.choice((1, 1, 2, 3))):
            on = begins + random.choice((-30, -1, -1, 10)) * DAY
            lines.append(policy(policy_text(random, id, effective_from), on=on))
            effective_from += random.choice((0, 1, 14, 45, 400)) * DAY
    if chance(random, 10):
        lines.append(policy('id = "theirs"\nwait = "long"\n', on=begins))  # not a policy
    return lines


# --- the catalogue ---------------------------------------------------------------------------


def maybe(random: Random, percent: int, instant: int) -> int | None:
    """Return an instant that is sometimes not known."""
    return about(random, instant) if chance(random, percent) else None


def catalogue_lines(random: Random, begins: int) -> list[Line]:
    """Announce, date and move exams; define certifications."""
    lines = [] if chance(random, 5) else list(SHIPPED[:1])
    for code in EXAMS if chance(random, 98) else EXAMS[1:]:
        beta = chance(random, 40)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            opens = begins + random.choice((-20, -5, 5)) * DAY
            goes_live = begins + random.choice((-3, 1, 20, 60)) * DAY
            lines.append(
                exam(
                    code,
                    policy=random.choice(("general", *POLICIES * 3, *POLICIES[:1] * 6))
                    if chance(random, 98)
                    else "nobody's",
                    beta_opens=maybe(random, 100 if beta else 3, opens),
                    live=maybe(random, 80 if beta else 20, goes_live),
                    retires=maybe(random, 12, begins + random.choice((10, 60, 500)) * DAY),
                    on=about(random, begins + random.choice((-500, -500, 0, 10, 40)) * DAY),
                )
            )
        while chance(random, 25):
            on = begins + random.choice((-4, 2, 15, 30)) * DAY
            lines.append(went_live(code, on=on))
        if chance(random, 14):
            lines.append(retired(code, on=begins + random.choice((10, 50)) * DAY))
    for id in CERTIFICATIONS:
        for _ in range(random.choice((0, 1, 1, 2))):
            exams = random.sample(EXAMS, random.randint(0, 2))
            on = begins + random.choice((-500, -500, 30, 60)) * DAY
            lines.append(certification(id, exams=exams, on=on))
    return lines


# --- a candidate -----------------------------------------------------------------------------


def sitting_lines(random: Random, code: str, reg: str, start: int, who: str) -> list[Line]:
    """Sit an exam: usually an attempt and a result, sometimes less, more or odder."""
    lines = []
    beta = chance(random, 30)
    ended = start + random.choice((0, 0, 0, HOUR, 30 * HOUR))
    for _ in range(random.choice((0, 1, 1, 1, 1, 1, 1, 1, 2))):
        delivery = "beta" if beta else "live"
        given_end = ended if chance(random, 40) else None
        lines.append(
            attempted(code, on=start, reg=reg, ended=given_end, delivery=delivery, who=who)
        )
        beta, start = chance(random, 30), start + random.choice((-HOUR, HOUR))
    known = ended + random.choice((0, 0, 0, 0, 0, HOUR, 5 * DAY, 40 * DAY))
    for _ in range(random.choice((0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2))):
        passed = chance(random, 25)
        if chance(random, 80 if beta else 5):
            lines.append(rescored(code, reg=reg, on=known, passed=passed, who=who))
        else:
            lines.append(result(code, reg=reg, on=known, passed=passed, who=who))
        known += random.choice((0, HOUR, 10 * DAY))
    if chance(random, 8):
        lines.append(revoked(code, reg=reg, on=about(random, known), who=who))
    if not lines or chance(random, 12):  # not come; or so said, before or after what else is said
        on = about(random, start + random.choice((0, 0, HOUR, -HOUR, 10 * DAY)))
        lines.append(missed(code, reg=reg, on=on, who=who))
    return lines


def authorization_lines(random: Random, times: Sequence[int], who: str) -> list[Line]:
    """Authorize somebody to sit, and withdraw it, about the times of sittings."""
    lines = []
    for _ in range(random.choice((0, 1, 1, 2, 3, 4))):
        id, code = random.choice(("A-1", "A-2", "A-3")), random.choice(EXAMS[:1] * 4 + EXAMS)
        on = about(random, random.choice(times) + random.choice((0, 0, -DAY, -HOUR, DAY)))
        if chance(random, 12):
            lines.append(unauthorized(code, on=on, id=id, who=who))
            continue
        lasts = random.choice((None, None, HOUR, DAY, 14 * DAY, 60 * DAY, 400 * DAY))
        ends = None if lasts is None else about(random, on + lasts)
        most = random.choice((None, None, 1, 1, 2, 3))
        lines.append(authorized(code, on=on, id=id, valid_until=ends, sittings=most, who=who))
    return lines


def certification_lines(random: Random, times: Sequence[int], who: str) -> list[Line]:
    """Earn, renew and lose certifications about the times of sittings."""
    lines = []
    for _ in range(random.choice((0, 1, 1, 2, 3, 4))):
        id = random.choice(CERTIFICATIONS)
        on = about(random, random.choice(times) + random.choice((0, HOUR, DAY, 30 * DAY)))
        if chance(random, 20):
            lines.append(expired(id, on=on, who=who))
            continue
        lasts = random.choice((None, -DAY, DAY, 14 * DAY, 60 * DAY, 400 * DAY))
        hold = earned if chance(random, 60) else renewed
        exams = random.sample(EXAMS, random.randint(0, 2)) if chance(random, 40) else None
        ends = None if lasts is None else about(random, on + lasts)
        lines.append(hold(id, on=on, expires=ends, exams=exams, who=who))
    return lines


def exception_lines(random: Random, times: Sequence[int], who: str) -> list[Line]:
    """Ask for exceptions, grant, refuse and revoke them about the times of sittings."""
    lines = []
    for _ in range(random.choice((0, 0, 1, 2, 3, 4, 5))):
        request, code = random.choice(("Q-1", "Q-2")), random.choice(EXAMS[:1] * 4 + EXAMS)
        near = random.choice(times) if chance(random, 30) else times[-1]
        on = about(random, near + random.choice((0, 1, 1, HOUR, DAY)))
        if chance(random, 30):
            lines.append(requested(code, on=on, reg="R-1", request=request, who=who))
        if chance(random, 10):
            lines.append(rejected(code, on=on, request=request, missing=("email",), who=who))
        if chance(random, 90):
            waives = random.choice(
                (("wait",), ("cap",), ("wait", "cap"), ("wait", "cap", "passed"), ("passed",), ())
            )
            ends = maybe(random, 40, on + random.choice((0, HOUR, DAY, 10 * DAY)))
            lines.append(
                granted(code, on=on, request=request, waives=waives, valid_until=ends, who=who)
            )
        if chance(random, 20):
            lines.append(
                withdrawn(code, on=on + random.choice((0, HOUR)), request=request, who=who)
            )
    return lines


def candidate_lines(random: Random, begins: int, who: str) -> list[Line]:
    """Tell a candidate's history."""
    lines: list[Line] = []
    time, times = begins, [begins]
    for number in range(random.choice((0, 1, 2, 3, 3, 4, 5, 7))):
        code = EXAMS[0] if chance(random, 85) else EXAMS[1]
        reg = f"R-{number if chance(random, 95) else 1}"
        lines += sitting_lines(random, code, reg, time, who)
        times.append(time)
        time = about(random, time + random.choice(STEPS))
        if chance(random, 10):  # to a midnight, where periods end
            time = about(random, time // DAY * DAY)
    lines += certification_lines(random, times, who)
    lines += exception_lines(random, times, who)
    if chance(random, 70):
        lines += authorization_lines(random, times, who)
    if chance(random, 9):
        lines.append(forgotten(who, on=time))
    return lines


# --- all of it -------------------------------------------------------------------------------


def with_annulments(random: Random, lines: list[Line]) -> list[Line]:
    """Annul some of the facts told, a few of them twice, at once or after others came."""
    line_of_row = [i for i, line in enumerate(lines) for _ in line.facts]
    insertions = []
    for row, i in zip(recorded(lines), line_of_row, strict=True):
        while chance(random, 4):
            told = annulled(row.id, subject=row.subject, on=row.occurred_at + HOUR)
            insertions.append((random.randint(i + 1, len(lines)), told))
    for i, told in sorted(insertions, key=lambda pair: -pair[0]):
        lines.insert(i, told)
    return lines


def world(random: Random, people: int = 1) -> World:
    """Make a world: rows in the order of their positions, which is not that of their times."""
    begins = at(random.choice(NEARBY))
    named = tuple(f"C-{number + 1}" for number in range(people))
    lines = policy_lines(random, begins) + catalogue_lines(random, begins)
    for who in named:
        lines += candidate_lines(random, begins, who)
    if chance(random, 30):
        random.shuffle(lines)
    return World(recorded(with_annulments(random, lines)), named)


def asking(random: Random, of: World) -> Asking:
    """Ask about a world: on a boundary or a microsecond beside it, often of all that is known."""
    who = random.choice(of.people)
    code = random.choice(EXAMS) if chance(random, 15) else EXAMS[0]
    if chance(random, 2):
        code = "unheard-of"
    mine = [row.occurred_at for row in of.of(who)]
    begun = mine and chance(random, 80)
    if mine and chance(random, 40):  # soon after the last facts, while they still have effect
        soon = random.choice((0, 1, HOUR, DAY, 3 * DAY))
        instants = [instant + soon for instant in sorted(mine)[-3:]]
    else:
        instants = boundaries([*of.catalogue, *of.of(who)], code)
        if begun:
            instants = [instant for instant in instants if instant >= min(mine)]
    as_of = random.choice(instants or [at(NEARBY[0])])
    known = len(of.rows)
    if chance(random, 30):
        known = random.randint(0 if chance(random, 10) else known // 2, known)
    return Asking(who, code, about(random, as_of), known)


def randomness() -> st.SearchStrategy[Random]:
    """Draw what worlds are made from: some of it shrinks, most (seeded) is varied as can be."""
    seeded = [st.integers(0, (1 << 64) - 1).map(Random) for _ in range(8)]
    return st.one_of(st.randoms(use_true_random=False), *seeded)


@st.composite
def worlds_asked(draw: st.DrawFn, people: int = 1) -> tuple[World, Asking]:
    """Draw worlds with a question about each."""
    random = draw(randomness())
    made = world(random, people)
    return made, asking(random, made)
