"""The catalogue as the fold reads it: exams, certifications and policies from their events."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from operator import itemgetter
from typing import NamedTuple, TypeAlias, TypeVar

from ledger.events import Outline, Recorded
from ledger.instants import parse_instant
from projections.answers import PolicyUsed
from projections.fold.covers import edition
from projections.fold.facts import (
    NEVER,
    NO_AUTHORIZATIONS,
    NO_CERTIFICATIONS,
    NO_GRANTS,
    NOTHING_IN_TIME,
    RETIRED_AT,
    WENT_LIVE,
    CertificationDefinitions,
    ExamDefinitions,
    Facts,
    Milestones,
    PolicyVersions,
    Question,
    Sittings,
)
from projections.fold.verdict import UNJUDGED, Judged, Setting, not_judged, setting_at, verdict_from
from projections.fold.walk import AT_THE_START, walk
from retake_policies.rules import RuleBook, Rules, compile_rules, rule_book
from retake_policies.schema import Policy, PolicyError, parse_policy

Shared: TypeAlias = tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int], Sequence[int]]
"""What the entries of each kind begin with: lo, hi, time, position, annulled."""


class Version(NamedTuple):
    """One published version of a policy."""

    policy: Policy
    rules: Rules
    event: Recorded
    used: tuple[PolicyUsed, PolicyUsed]
    """How answers name it: from its first day on, and assumed before that."""


class Settings:
    """What the catalogue says of an exam at an instant, as `setting_at` finds it; looked up once.

    To whoever knows all of the catalogue an exam's setting is the same from the instant at which it
    was looked up until its own end, whichever candidate is asked about. To others it is looked up
    each time. May be shared by threads: what is kept of an exam is replaced in one step.
    """

    def __init__(self, facts: Facts, last: int) -> None:
        """`last` is the position of the last entry of the catalogue that there is."""
        self._facts = facts
        self._last = last
        self._found: dict[int, tuple[int, Setting]] = {}

    def at(self, q: Question, t: int) -> Setting:
        """Return the setting of a question's exam at an instant."""
        if q.known < self._last:
            return setting_at(self._facts, q, t)
        since, setting = self._found.get(q.exam) or (NEVER, None)
        if setting is None or not since <= t < setting.until:
            setting = setting_at(self._facts, q, t)
            self._found[q.exam] = t, setting
        return setting


class Catalogue(NamedTuple):
    """Every catalogue entry recorded so far, whenever known: a question picks by position.

    `exams`, `certifications` and `policies` number what is named anywhere; the
    columns hold one row for each entry, those of one number together, in
    (time, position) order, of a policy by effective_from first; `…_events` and `published` give a
    row's event back.
    """

    exams: Mapping[str, int]
    certifications: Mapping[str, int]
    policies: Mapping[str, int]
    definitions: ExamDefinitions
    definition_events: Sequence[Recorded]
    milestones: Milestones
    milestone_events: Sequence[Recorded]
    defined: CertificationDefinitions
    defined_events: Sequence[Recorded]
    versions: PolicyVersions
    published: Sequence[Version]
    rules: RuleBook
    unreadable: Sequence[tuple[Recorded, PolicyError]]
    """Published policies that do not parse: no version, and said so where they matter."""
    unreadable_annulled: Sequence[int]
    """By unreadable policy: the position of its annulment, NEVER when there is none."""
    facts: Facts
    """All of this as a verdict looks it up, beside no facts of any candidate."""
    settings: Settings


def alike_in(
    lo: Sequence[int], hi: Sequence[int], said: Sequence[Hashable]
) -> tuple[list[int], list[int]]:
    """Return of each row the first of its run that says the same, and the next that does not."""
    alike, differs = [0] * len(said), [0] * len(said)
    for first, end in zip(lo, hi, strict=True):
        seen: dict[Hashable, int] = {}
        for row in range(first, end):
            alike[row] = seen.setdefault(said[row], row)
        after = end
        for row in range(end - 1, first - 1, -1):
            if row + 1 < end and alike[row + 1] != alike[row]:
                after = row + 1
            differs[row] = after
    return alike, differs


def setting_of(catalogue: Catalogue, exam: str, at: int, position: int) -> Setting:
    """Return what catalogue and policies say of an exam at an instant, as known at a position."""
    q = Question(catalogue.exams.get(exam, -1), at, position, 0, 0, 0, 0, 0, 0)
    return catalogue.settings.at(q, at)


class Judge:
    """Judges one candidate and exam at one instant after another, each as `verdict_at` does.

    By settings that are looked up once, and walking again only by other rules or definitions.
    """

    def __init__(
        self, catalogue: Catalogue, facts: Facts, q: Question, sittings: Sittings, n: int
    ) -> None:
        """`facts` are the catalogue's, with the candidate's; `n` sittings were gathered."""
        self._catalogue = catalogue
        self._asked = facts, q
        self._sittings = sittings
        self._n = n
        self._walked_by: tuple[int, int] | None = None
        self._walked = AT_THE_START
        self._last = NEVER, UNJUDGED  # who looks ahead for one thing mostly looks where another did

    def at(self, t: int) -> Judged:
        """Judge at an instant, as_of or later; leave the ordinals of that walk in the sittings."""
        if t != self._last[0]:
            self._last = t, self._judged_at(t)
        return self._last[1]

    def _judged_at(self, t: int) -> Judged:
        (facts, q), sittings, n = self._asked, self._sittings, self._n
        setting = self._catalogue.settings.at(q, t)
        if setting.version < 0:
            return not_judged(setting)
        rules = self._catalogue.published[setting.version].rules
        number = facts.versions.alike[setting.version]
        if (number, edition(facts, q, rules, sittings.covers, t)) != self._walked_by:
            self._walked = walk(facts, q, rules, sittings, n, t)
            self._walked_by = number, edition(facts, q, rules, sittings.covers, t)
        return verdict_from(facts, q, rules, sittings, n, t, setting, self._walked)


def policy_at(catalogue: Catalogue, exam: str, at: int, position: int) -> Policy | None:
    """Return the policy an exam follows at an instant, as known at a position.

    None for an exam that was not in the catalogue then, or whose policy was not.
    """
    version = setting_of(catalogue, exam, at, position).version
    return None if version < 0 else catalogue.published[version].policy


@lru_cache(maxsize=256)
def read_policy(toml: str) -> tuple[Policy, Rules]:
    """Parse and compile a policy's text, once for each text.

    Raises PolicyError as `parse_policy` does.
    """
    policy = parse_policy(toml, "the published policy", published=True)
    return policy, compile_rules(policy)


def annulments(rows: Iterable[Recorded | Outline]) -> dict[int, int]:
    """Map each annulled position to the position of its first annulment; rows in any order."""
    found: dict[int, int] = {}
    for annuls, position in [(row.annuls, row.position) for row in rows if row.annuls is not None]:
        found[annuls] = min(position, found.get(annuls, NEVER))
    return found


_Line = TypeVar("_Line", Recorded, Outline, Recorded | Outline)
_TIME_AND_POSITION = itemgetter(  # of both alike
    Recorded._fields.index("occurred_at"), Recorded._fields.index("position")
)


def in_time(rows: Iterable[_Line]) -> list[_Line]:
    """Sort rows by (time, position): the later wins wherever one fact replaces another."""
    return sorted(rows, key=_TIME_AND_POSITION)


def numbered(*names: Iterable[str]) -> dict[str, int]:
    """Number names from 0 in the order in which they first come."""
    return {name: number for number, name in enumerate(dict.fromkeys(chain(*names)))}


def runs(count: int, groups: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the run (lo, hi) of each number from 0 to count - 1 in a sorted list of numbers."""
    lo, hi = [0] * count, [0] * count
    for i, group in enumerate(groups):
        if i == 0 or groups[i - 1] != group:
            lo[group] = i
        hi[group] = i + 1
    return lo, hi


def catalogue_of(
    rows: Sequence[Recorded], exams: Iterable[str] = (), certifications: Iterable[str] = ()
) -> Catalogue:
    """Make the catalogue from its events, annulments among them, in any order.

    The names `exams` and `certifications` are numbered first, in their
    order, to fit columns which have numbered them already.
    """
    annulled = annulments(rows)
    of_type: defaultdict[str, list[Recorded]] = defaultdict(list)
    for row in in_time(row for row in rows if row.annuls is None):
        of_type[row.type].append(row)
    announced, certified = of_type["ExamAnnounced"], of_type["CertificationDefined"]
    reached = in_time(of_type["ExamWentLive"] + of_type["ExamRetired"])
    published, unreadable = versions_of(of_type["PolicyPublished"])
    entry = {row.position: row.payload() for row in (*announced, *certified)}

    exam_number = numbered(
        exams,
        (row.subject for row in (*announced, *reached)),
        (code for row in certified for code in entry[row.position]["exams"]),
    )
    certification_number = numbered(certifications, (row.subject for row in certified))
    policy_number = numbered(
        (entry[row.position]["policy"] for row in announced),
        (version.policy.id for version in published),
    )
    announced.sort(key=lambda row: exam_number[row.subject])
    reached.sort(key=lambda row: exam_number[row.subject])
    certified.sort(key=lambda row: certification_number[row.subject])
    published.sort(
        key=lambda version: (policy_number[version.policy.id], version.policy.effective_from)
    )

    def ends(rows: Iterable[Recorded]) -> list[int]:
        return [annulled.get(row.position, NEVER) for row in rows]

    def shared(
        number: Mapping[str, int], rows: Sequence[Recorded], names: Sequence[str] | None = None
    ) -> Shared:
        groups = [number[name] for name in names or (row.subject for row in rows)]
        lo, hi = runs(len(number), groups)
        times, positions = [row.occurred_at for row in rows], [row.position for row in rows]
        return lo, hi, times, positions, ends(rows)

    def dates(name: str) -> list[int]:
        found = (entry[row.position].get(name) for row in announced)
        return [NEVER if date is None else parse_instant(date) for date in found]

    exam_columns, version_columns = (
        shared(exam_number, announced),
        shared(
            policy_number,
            [version.event for version in published],
            [version.policy.id for version in published],  # the text's own
        ),
    )
    followed = [policy_number[entry[row.position]["policy"]] for row in announced]
    opened, live, ended = dates("beta_opens_at"), dates("live_at"), dates("retires_at")
    exams_alike = alike_in(*exam_columns[:2], list(zip(followed, opened, live, ended, strict=True)))
    rules_alike = alike_in(*version_columns[:2], [version.rules for version in published])

    covered = [[exam_number[code] for code in entry[row.position]["exams"]] for row in certified]
    last = list(accumulate(map(len, covered)))
    moved = sorted(
        (position, certification_number[row.subject])
        for row in certified
        for position in (row.position, annulled.get(row.position))
        if position is not None
    )
    facts = Facts(
        certifications=NO_CERTIFICATIONS,
        grants=NO_GRANTS,
        authorizations=NO_AUTHORIZATIONS,
        in_time=NOTHING_IN_TIME,
        exams=ExamDefinitions(
            *exam_columns,
            policy=followed,
            beta_opens_at=opened,
            live_at=live,
            retires_at=ended,
            alike=exams_alike[0],
            differs=exams_alike[1],
        ),
        milestones=Milestones(
            *shared(exam_number, reached),
            kind=[WENT_LIVE if row.type == "ExamWentLive" else RETIRED_AT for row in reached],
        ),
        defined=CertificationDefinitions(
            *shared(certification_number, certified),
            exam_lo=[0, *last[:-1]] if last else [],
            exam_hi=last,
            exam=[*chain(*covered)],
            moved=[position for position, _ in moved],
            moved_of=[number for _, number in moved],
        ),
        versions=PolicyVersions(
            *version_columns,
            effective_from=[version.policy.effective_from for version in published],
            alike=rules_alike[0],
            differs=rules_alike[1],
        ),
        rules=rule_book(version.rules for version in published),
    )
    return Catalogue(
        exams=exam_number,
        certifications=certification_number,
        policies=policy_number,
        definitions=facts.exams,
        definition_events=announced,
        milestones=facts.milestones,
        milestone_events=reached,
        defined=facts.defined,
        defined_events=certified,
        versions=facts.versions,
        published=published,
        rules=facts.rules,
        unreadable=unreadable,
        unreadable_annulled=ends(row for row, _ in unreadable),
        facts=facts,
        settings=Settings(facts, max((row.position for row in rows), default=0)),
    )


def _used(policy: Policy, *, assumed: bool) -> PolicyUsed:
    return PolicyUsed.trusted(
        id=policy.id,
        effective_from=policy.effective_from,
        assumed=assumed,
        sha256=policy.sha256,
    )


def versions_of(
    rows: Iterable[Recorded],
) -> tuple[list[Version], list[tuple[Recorded, PolicyError]]]:
    """Read published policies; one that does not parse is put aside with its problem."""
    versions: list[Version] = []
    unreadable: list[tuple[Recorded, PolicyError]] = []
    for row in rows:
        try:
            policy, rules = read_policy(row.payload()["toml"])
        except PolicyError as problem:
            unreadable.append((row, problem))
        else:
            used = _used(policy, assumed=False), _used(policy, assumed=True)
            versions.append(Version(policy, rules, row, used))
    return versions, unreadable
