"""Write docs/programmes.md from examples/programmes. `--check` says whether it is up to date."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pages import settle

from retake_policies.fields import format_instant
from retake_policies.schema import Policy, parse_policy
from retake_policies.wording import HEADINGS, rules_in_sentences

PAGE = Path(__file__).with_name("programmes.md")
FOLDER = PAGE.parents[1] / "examples/programmes"

START = """\
# Programmes

<!-- Written by docs/generate_programmes.py from examples/programmes: change it there. -->

The retake rules of {programmes} programmes as policy files, in `examples/programmes/`: one file a
version, and for each programme a file of cases, whose expected instants were worked out from the
rule's text.

```console
$ attempt-ledger policy explain examples/programmes/google-cloud.toml
$ attempt-ledger policy test examples/programmes
```

They show what the format can say, and are a beginning for whoever owns such rules. They were read
from stored copies, not from the owners' pages of today: **every one may be out of date**. Each
file names its source, its date, how sure we are, how an open sentence is read, and what is only
approximated. To write your own, see [from handbook to policy](from-handbook-to-policy.md); the
keys are in [policies](policies.md).

**How sure.** *Owner's text*: the owner's own words were read, in a stored copy; *cut off*: but
not to their end. *As quoted by others*: the owner's words in somebody else's page. *Secondary*:
others say so. Nothing here rests on memory alone: rules of which no text was found are left out.

## What a policy does not say

Some rules of these programmes have no key. We say so rather than let a number look exact.

- **Scores that decide.** A perfect score that ends it, or a wait that depends on the score (GMAT,
  LSAT): a policy knows passed and failed alone.
- **Working days.** A wait of ten working days (the British driving test, which is not here for
  that reason) needs a list of holidays, which is data of its own.
- **Caps and waits over several exams.** Six tries over all exams of a subscription (SAP), a
  programme's cap (ISC2), a combined test and its parts (Praxis): each exam code has its own walk.
  Languages and deliveries that count as one (Google) are given one code.
- **Successors of an exam.** A new version or series code is another exam: its counts begin anew,
  and a pass of the old one blocks nothing.
- **Cohorts.** Who applied, or first sat, before a day may keep older rules (USMLE). A version
  holds by the day that is asked about, for everybody.
- **Who the candidate is.** Minors, staff of partners: two policies and two exam codes.
- **Shortened waits.** An exception skips a wait whole; one that shortens it (GIAC, 30 to 14 days)
  is granted when the shorter wait is over.
- **One person under two ids.** The ledger takes an id for a person: whoever has two has two
  histories.
- **Windows and seasons** in which alone one may sit: when an exam is offered is not a retake
  rule.

## Keys that no programme uses

{unused}

## The programmes

"""

UNUSED = {
    "beta.counts": "no text has beta sittings count",
    "beta.results_after_live": "the shipped `general` does",
    "beta.overdue_after_live": "the shipped `general` does",
    "exception.required": "the shipped `general` does",
}
"""Keys that none of the files has, and why."""


class Version(NamedTuple):
    """One policy file, and what its comments say of it."""

    name: str
    policy: Policy
    tables: frozenset[str]
    """The tables that the file has."""
    is_assumed: bool
    """Whether the day from which it is in force is not in the text."""
    notes: dict[str, list[str]]
    """By label: `How sure`, `Reading`, `Approximated`."""


def version(path: Path) -> Version:
    """Read a policy file, and the notes in the comments above its first key."""
    text = path.read_text(encoding="utf-8")
    notes: dict[str, list[str]] = {}
    last: list[str] = []
    for line in text.partition("\n\n")[0].splitlines():
        if line.startswith("#   "):
            last[-1] += f" {line[4:]}"
        else:
            label, _, words = line[2:].partition(": ")
            last = notes.setdefault(label, [])
            last.append(words)
    is_assumed = re.search(r"^effective_from = \S+ +# assumed", text, re.MULTILINE) is not None
    tables = frozenset(tomllib.loads(text))
    return Version(path.stem, parse_policy(text, path.name), tables, is_assumed, notes)


def programmes() -> dict[str, list[Version]]:
    """Return the versions of each programme, the latest first."""
    found: dict[str, list[Version]] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        if not path.name.endswith(".cases.toml"):
            each = version(path)
            found.setdefault(each.policy.id, []).append(each)
    for versions in found.values():
        versions.sort(key=lambda each: -each.policy.effective_from)
    return found


def day(policy: Policy) -> str:
    """Write from when a version is in force; a day for its 00:00 UTC."""
    return format_instant(policy.effective_from).removesuffix("T00:00:00Z")


def section(versions: list[Version]) -> Iterator[str]:
    """Write what a programme says, version after version."""
    for number, each in enumerate(versions):
        policy, notes = each.policy, each.notes
        yield f"###{'#' if number else ''} {policy.title}"
        yield ""
        assumed = " (assumed)" if each.is_assumed else ""
        sure = notes["How sure"][0].capitalize()
        yield f"`{each.name}.toml`, in force from {day(policy)}{assumed}."
        yield f"{sure}: {policy.source}."
        yield ""
        for heading, sentences in rules_in_sentences(policy).items():
            tables = {table for table, words in HEADINGS.items() if words == heading}
            if tables & each.tables:
                yield f"- **{heading}.** {' '.join(sentences)}"
        yield ""
        for label, title in (("Reading", "Read so"), ("Approximated", "Approximated")):
            for words in notes.get(label, ()):
                yield f"- *{title}*: {words}"
        if notes.keys() & {"Reading", "Approximated"}:
            yield ""


def written() -> str:
    """Write all of docs/programmes.md."""
    found = programmes()
    unused = "\n".join(f"- `{key}`: {why}." for key, why in UNUSED.items())
    lines = [START.format(programmes=len(found), unused=unused)]
    lines[0] += "| programme | versions | how sure | published examples |\n|---|---|---|---|\n"
    for id, versions in found.items():
        cases = (FOLDER / f"{id}.cases.toml").read_text(encoding="utf-8")
        examples = len(re.findall(r"^published = ", cases, re.MULTILINE))
        dates = ", ".join(day(each.policy) for each in versions)
        anchor = re.sub(r"[^\w -]", "", versions[0].policy.title.lower()).replace(" ", "-")
        lines[0] += (
            f"| [{versions[0].policy.title}](#{anchor}) | {dates} "
            f"| {versions[0].notes['How sure'][0]} | {examples or ''} |\n"
        )
    for versions in found.values():
        lines += section(versions)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(settle(PAGE, written, sys.argv[1:]))
