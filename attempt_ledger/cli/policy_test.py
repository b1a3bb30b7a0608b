"""`policy test`: answers that a policy should give, beside those that it gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger.cli.forms import LISTED, ListFormat, form_of
from attempt_ledger.cli.listing import Listing, put_list
from attempt_ledger.cli.options import Output, command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.pages import Part, block, columns, page
from attempt_ledger.cli.policy import read_policy_file
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from replay.cases.check import Difference, check_cases
from replay.cases.file import read_cases
from replay.formats import About
from replay.many import many

CASES = ".cases.toml"
"""How the name of a case file ends that lies beside its policy."""


@command(
    "policy test",
    examples="""
    attempt-ledger policy test our-rules.toml our-cases.toml
    attempt-ledger policy test examples/programmes
    attempt-ledger policy test our-rules.toml our-cases.toml --output differs.csv
    """,
)
def compare(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="The policy, TOML, or a shipped one by name; or a folder, of which each NAME.toml "
            "is tested that has a NAME.cases.toml beside it.",
        ),
    ],
    cases: Annotated[
        Path | None,
        typer.Argument(
            metavar="CASES",
            help="The cases, TOML. Default: beside the policy, NAME.cases.toml for NAME.toml.",
        ),
    ] = None,
    format: ListFormat = None,
    output: Output = None,
) -> int:
    """Compare a policy's answers with those of a case file.

    A case is facts, and the answers that they should have; docs/from-handbook-to-policy.md shows
    how to write them. One row for each thing that is not as expected; with any the exit code is 1.
    No ledger is needed.
    """
    form = form_of(LISTED, format, output)
    differences: list[Difference] = []
    for policy, cases_file in pairs(file, cases):
        read = read_cases(cases_file)
        checked = check_cases(read, read_policy_file(str(policy))[1], str(policy))
        differences += checked.differences
        count, wrong = len(read.cases), len(checked.differences)
        differs = f"{wrong:,} differ" if wrong != 1 else "1 differs"
        say(
            f"{policy}: {count:,} case{'' if count == 1 else 's'}, "
            f"{checked.answers:,} answer{'' if checked.answers == 1 else 's'}, "
            f"{differs if wrong else 'all as expected'}"
        )
    listing = Listing(
        About("Answers that differ"),
        lambda: differences_page(differences) if differences else None,
        lambda: (json.dumps(each._asdict(), ensure_ascii=False) for each in differences),
        lambda: many("text_rows")(Difference._fields, differences),
    )
    put_list(listing, form, output)
    return REFUSED if differences else DONE


def pairs(file: Path, cases: Path | None) -> Iterator[tuple[Path, Path]]:
    """Yield each policy that is tested, and its cases; raises CallProblem."""
    if not file.is_dir():
        yield file, cases or file.with_name(f"{file.stem}{CASES}")
        return
    if cases is not None:
        raise CallProblem(f"{file} is a folder, whose policies have their cases beside them")
    found = sorted(file.glob(f"*{CASES}"))
    if not found:
        raise CallProblem(f"{file} has no cases: their names end in {CASES}")
    for each in found:
        yield each.with_name(f"{each.name.removesuffix(CASES)}.toml"), each


def differences_page(differences: list[Difference]) -> Part:
    """Show what differs, by case."""
    head = ("as of", "answer", "expected", "found")
    one_file = len({each.file for each in differences}) == 1
    blocks = [
        block(
            case if one_file else f"{file}: {case}",
            columns(
                [(each.as_of, each.answer, each.expected, each.found) for each in of_case],
                head=head,
                whole=(0, 1, 2, 3),
            ),
        )
        for (file, case), of_case in groupby(differences, lambda each: (each.file, each.case))
    ]
    return page(*blocks)
