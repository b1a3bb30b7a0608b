"""The exams, certifications and policies of the invented histories, and their own events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np

from benchmarks.histories.dice import Ints
from ledger.facts import Fact
from ledger.instants import SECOND
from ledger.models import (
    CertificationDefined,
    ExamAnnounced,
    ExamRetired,
    ExamWentLive,
    PolicyPublished,
)
from retake_policies import shipped

CATALOGUE: Final = "urn:attempt-ledger:catalogue"
NEVER: Final = 1 << 40
"""Later than every instant, in seconds."""
DAY: Final = 86_400
GENERAL, MTA, MOS = range(3)
PROGRAMMES: Final = ("general", "mta-mce", "mos")


def at(text: str) -> int:
    """Return the seconds since 1970 of a date, at 00:00 UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


OPENED: Final = at("2019-01-01")
"""When the ledger begins: the catalogue of that day is its first entries."""
FIRST: Final = at("2019-01-07")
END: Final = at("2024-07-01")
"""Nobody sits from here on."""

# Codes of six characters, so that every row of a kind has the same length.
_GENERAL = (
    *("AZ-104", "AZ-204", "AZ-305", "AZ-400", "AZ-500", "AI-102", "DP-203", "DP-300", "MB-300"),
    *("MB-700", "MS-700", "PL-200", "PL-400", "SC-200", "SC-300", "AZ-900", "AI-900", "DP-900"),
    *("SC-900", "PL-900", "MS-100"),
)
_BETAS = {  # beta_opens_at, live_at
    "AZ-700": ("2021-07-26", "2021-10-25"),
    "PL-300": ("2020-03-02", "2020-05-18"),
    "SC-100": ("2022-04-26", "2022-07-20"),
    "MS-102": ("2023-04-10", "2023-06-21"),
}
_MTA = ("98-361", "98-364", "98-381", "98-349", "98-375")
_MOS = ("MO-100", "MO-200", "MO-300", "MO-400", "MO-500")
_RETIRED = {"MS-100": "2023-09-30", "98-361": "2022-06-30", "98-349": "2022-06-30"}
_CERTIFICATIONS = {  # exams, days a certification is held (0: for ever)
    "azure-administrator-associate": (("AZ-104",), 365),
    "azure-developer-associate": (("AZ-204",), 365),
    "azure-solutions-architect-expert": (("AZ-305",), 365),
    "devops-engineer-expert": (("AZ-400",), 365),
    "azure-security-engineer-associate": (("AZ-500",), 365),
    "azure-network-engineer-associate": (("AZ-700",), 365),
    "azure-ai-engineer-associate": (("AI-102",), 365),
    "azure-data-associate": (("DP-203", "DP-300"), 365),
    "dynamics-365-finance-and-operations": (("MB-300", "MB-700"), 730),
    "teams-administrator-associate": (("MS-700",), 365),
    "power-platform-associate": (("PL-200", "PL-300", "PL-400"), 365),
    "security-associate": (("SC-200", "SC-300"), 365),
    "cybersecurity-architect-expert": (("SC-100",), 365),
    "microsoft-365-administrator-expert": (("MS-100", "MS-102"), 365),
    "fundamentals": (("AZ-900", "AI-900", "DP-900", "SC-900", "PL-900"), 0),
    "technology-associate": (_MTA, 0),
}


class World(NamedTuple):
    """What may be sat, as columns with one row for each exam. Instants are seconds since 1970."""

    codes: tuple[str, ...]
    programme: Ints
    beta_opens_at: Ints
    live_at: Ints
    retires_at: Ints
    certification: Ints
    """The certification a pass earns; -1 for none."""
    held_days: Ints
    """How long that is held; 0 for ever."""
    certifications: tuple[str, ...]


def world(*, plain: bool) -> World:
    """Lay out the exams; `plain` leaves out what is not general, betas and certifications."""
    programmes = {GENERAL: (*_GENERAL, *_BETAS), MTA: _MTA, MOS: _MOS}
    if plain:
        programmes = {GENERAL: _GENERAL}
    codes = tuple(code for exams in programmes.values() for code in exams)
    earned = {
        code: (number, days)
        for number, (exams, days) in enumerate(_CERTIFICATIONS.values())
        for code in exams
        if not plain
    }
    return World(
        codes,
        np.array([number for number, exams in programmes.items() for _ in exams]),
        np.array([at(_BETAS[code][0]) if code in _BETAS else NEVER for code in codes]),
        np.array([at(_BETAS[code][1]) if code in _BETAS else OPENED for code in codes]),
        np.array([at(_RETIRED[code]) if code in _RETIRED else NEVER for code in codes]),
        np.array([earned.get(code, (-1, 0))[0] for code in codes]),
        np.array([earned.get(code, (-1, 0))[1] for code in codes]),
        () if plain else tuple(_CERTIFICATIONS),
    )


def catalogue_facts(world: World) -> Iterator[Fact]:
    """Yield the catalogue's events, each true when it became known, in the order of time."""
    entries = [*_policies(), *_exams(world), *_certifications(world)]
    yield from sorted(entries, key=lambda fact: fact.time)  # stable


def _policies() -> Iterator[Fact]:
    for name, text in shipped():
        yield _published(name, 1, text, OPENED)
        if name == "general":
            # A newer version: from then on the longer waits are ten days.
            newer = text.replace("2021-03-31T00:00:00Z", "2023-03-01T00:00:00Z", 1)
            newer = newer.replace('"P14D"', '"P10D"', 3)
            yield _published(name, 2, newer, at("2023-02-01"))


def _published(name: str, number: int, text: str, time: int) -> Fact:
    event = PolicyPublished(toml=text)
    return Fact(CATALOGUE, f"policy/{name}/{number}", name, time * SECOND, event)


def _exams(world: World) -> Iterator[Fact]:
    columns = (world.programme, world.beta_opens_at, world.live_at, world.retires_at)
    for code, programme, beta_opens_at, live_at, retires_at in zip(
        world.codes, *(column.tolist() for column in columns), strict=True
    ):
        entry = ExamAnnounced(
            title=f"Exam {code}",
            policy=PROGRAMMES[programme],
            beta_opens_at=None if beta_opens_at == NEVER else beta_opens_at * SECOND,
            live_at=live_at * SECOND,
        )
        announced = OPENED if beta_opens_at == NEVER else beta_opens_at - 30 * DAY
        id, time = f"exam/{code}", announced * SECOND
        yield Fact(CATALOGUE, f"{id}/1", code, time, entry)
        if beta_opens_at != NEVER:
            yield Fact(CATALOGUE, f"{id}/live", code, live_at * SECOND, ExamWentLive())
        if retires_at != NEVER:
            told = entry.model_copy(update={"retires_at": retires_at * SECOND})
            yield Fact(CATALOGUE, f"{id}/2", code, (retires_at - 180 * DAY) * SECOND, told)
            yield Fact(CATALOGUE, f"{id}/retired", code, retires_at * SECOND, ExamRetired())


def _certifications(world: World) -> Iterator[Fact]:
    for name in world.certifications:
        exams = _CERTIFICATIONS[name][0]
        event = CertificationDefined(title=name.replace("-", " ").capitalize(), exams=exams)
        yield Fact(CATALOGUE, f"certification/{name}/1", name, OPENED * SECOND, event)
