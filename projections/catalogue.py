"""The catalogue as the fold reads it: exams, certifications and policies from their events."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from ledger.events import Recorded
from ledger.instants import parse_instant
from projections.fold.facts import (
    NEVER,
    NO_CERTIFICATIONS,
    NO_GRANTS,
    RETIRED_AT,
    WENT_LIVE,
    CertificationDefinitions,
    ExamDefinitions,
    Facts,
    Milestones,
    PolicyVersions,
    Question,
)
from projections.fold.verdict import Setting, setting_at
from retake_policies.rules import RuleBook, Rules, compile_rules, rule_book
from retake_policies.schema import Policy, PolicyError, parse_policy


class Version(NamedTuple):
    """One published version of a policy."""

    policy: Policy
    rules: Rules
    event: Recorded


class Catalogue(NamedTuple):
    """Every catalogue entry recorded so far, whenever known: a question picks by position.

    `exams`, `certifications` and `policies` number what is named anywhere; the
    columns hold one row for each entry, those of one number together, in
    (time, position) order. `definition_events`, `milestone_events` and
    `published` are the events behind the rows.
    """

    exams: Mapping[str, int]
    certifications: Mapping[str, int]
    policies: Mapping[str, int]
    definitions: ExamDefinitions
    definition_events: Sequence[Recorded]
    milestones: Milestones
    milestone_events: Sequence[Recorded]
    defined: CertificationDefinitions
    versions: PolicyVersions
    published: Sequence[Version]
    rules: RuleBook
    unreadable: Sequence[tuple[Recorded, PolicyError]]
    """Published policies that do not parse: no version, and said so where they matter."""
    unreadable_annulled: Sequence[int]
    """By unreadable policy: the position of its annulment, NEVER when there is none."""
    facts: Facts
    """All of this as a verdict looks it up, beside no facts of any candidate."""


def setting_of(catalogue: Catalogue, exam: str, at: int, position: int) -> Setting:
    """Return what catalogue and policies say of an exam at an instant, as known at a position."""
    q = Question(catalogue.exams.get(exam, -1), at, position, 0, 0, 0, 0)
    return setting_at(catalogue.facts, q, at)


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
    policy = parse_policy(toml, "the published policy")
    return policy, compile_rules(policy)


def annulments(rows: Iterable[Recorded]) -> dict[int, int]:
    """Map each annulled position to the position of its first annulment; rows in any order."""
    found: dict[int, int] = {}
    for annuls, position in [(row.annuls, row.position) for row in rows if row.annuls is not None]:
        found[annuls] = min(position, found.get(annuls, NEVER))
    return found


_TIME_AND_POSITION = itemgetter(
    Recorded._fields.index("occurred_at"), Recorded._fields.index("position")
)


def in_time(rows: Iterable[Recorded]) -> list[Recorded]:
    """Sort rows by (time, position): the later wins wherever one fact replaces another."""
    return sorted(rows, key=_TIME_AND_POSITION)


def runs(count: int, groups: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the run (lo, hi) of each number from 0 to count - 1 in a sorted list of numbers."""
    lo, hi = [0] * count, [0] * count
    for i, group in enumerate(groups):
        if i == 0 or groups[i - 1] != group:
            lo[group] = i
        hi[group] = i + 1
    return lo, hi


def instant_or(value: object, missing: int) -> int:
    """Read an instant of a payload, `missing` where it is left out."""
    return missing if value is None else parse_instant(str(value))


def catalogue_of(
    rows: Sequence[Recorded], exams: Iterable[str] = (), certifications: Iterable[str] = ()
) -> Catalogue:
    """Lay out the catalogue from its events, annulments among them, in any order.

    The names `exams` and `certifications` are numbered first, in their
    order, to fit columns which have numbered them already.
    """
    annulled = annulments(rows)
    ordered = in_time(row for row in rows if row.annuls is None)
    payloads = {row.position: row.payload() for row in ordered}
    of_type: dict[str, list[Recorded]] = {}
    for row in ordered:
        of_type.setdefault(row.type, []).append(row)

    announced = of_type.get("ExamAnnounced", [])
    reached = of_type.get("ExamWentLive", []) + of_type.get("ExamRetired", [])
    certified = of_type.get("CertificationDefined", [])
    published, unreadable = versions_of(of_type.get("PolicyPublished", []))

    number_of_exam = {name: number for number, name in enumerate(exams)}
    number_of_certification = {name: number for number, name in enumerate(certifications)}
    policies: dict[str, int] = {}
    for row in announced:
        number_of_exam.setdefault(row.subject, len(number_of_exam))
        policies.setdefault(payloads[row.position]["policy"], len(policies))
    for row in reached:
        number_of_exam.setdefault(row.subject, len(number_of_exam))
    for row in certified:
        number_of_certification.setdefault(row.subject, len(number_of_certification))
        for code in payloads[row.position]["exams"]:
            number_of_exam.setdefault(code, len(number_of_exam))
    for version in published:
        policies.setdefault(version.policy.id, len(policies))

    announced.sort(key=lambda row: number_of_exam[row.subject])
    reached = sorted(in_time(reached), key=lambda row: number_of_exam[row.subject])
    certified.sort(key=lambda row: number_of_certification[row.subject])
    published.sort(key=lambda version: policies[version.policy.id])

    def ends(rows: Iterable[Recorded]) -> list[int]:
        return [annulled.get(row.position, NEVER) for row in rows]

    def dates(name: str) -> list[int]:
        return [instant_or(payloads[row.position].get(name), NEVER) for row in announced]

    covered: list[int] = []
    exam_lo: list[int] = []
    exam_hi: list[int] = []
    for row in certified:
        exam_lo.append(len(covered))
        covered += [number_of_exam[code] for code in payloads[row.position]["exams"]]
        exam_hi.append(len(covered))
    events = [version.event for version in published]
    facts = Facts(
        certifications=NO_CERTIFICATIONS,
        grants=NO_GRANTS,
        exams=ExamDefinitions(
            *runs(len(number_of_exam), [number_of_exam[row.subject] for row in announced]),
            time=[row.occurred_at for row in announced],
            position=[row.position for row in announced],
            annulled=ends(announced),
            policy=[policies[payloads[row.position]["policy"]] for row in announced],
            beta_opens_at=dates("beta_opens_at"),
            live_at=dates("live_at"),
            retires_at=dates("retires_at"),
        ),
        milestones=Milestones(
            *runs(len(number_of_exam), [number_of_exam[row.subject] for row in reached]),
            kind=[WENT_LIVE if row.type == "ExamWentLive" else RETIRED_AT for row in reached],
            time=[row.occurred_at for row in reached],
            position=[row.position for row in reached],
            annulled=ends(reached),
        ),
        defined=CertificationDefinitions(
            *runs(
                len(number_of_certification),
                [number_of_certification[row.subject] for row in certified],
            ),
            time=[row.occurred_at for row in certified],
            position=[row.position for row in certified],
            annulled=ends(certified),
            exam_lo=exam_lo,
            exam_hi=exam_hi,
            exam=covered,
        ),
        versions=PolicyVersions(
            *runs(len(policies), [policies[version.policy.id] for version in published]),
            effective_from=[version.policy.effective_from for version in published],
            time=[event.occurred_at for event in events],
            position=[event.position for event in events],
            annulled=ends(events),
        ),
        rules=rule_book(version.rules for version in published),
    )
    return Catalogue(
        exams=number_of_exam,
        certifications=number_of_certification,
        policies=policies,
        definitions=facts.exams,
        definition_events=announced,
        milestones=facts.milestones,
        milestone_events=reached,
        defined=facts.defined,
        versions=facts.versions,
        published=published,
        rules=facts.rules,
        unreadable=unreadable,
        unreadable_annulled=ends(row for row, _ in unreadable),
        facts=facts,
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
            versions.append(Version(policy, rules, row))
    return versions, unreadable
