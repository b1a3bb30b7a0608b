"""`policy test`: answers that a policy should give, beside those that it gives."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger.cli.options import Output, command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.pages import block, columns, page
from attempt_ledger.cli.pages import show as show_page
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from ledger.intake.source import read_whole
from replay.cases.check import Difference, check_cases
from replay.cases.file import read_cases

CASES = ".cases.toml"
"""How the name of a case file ends that lies beside its policy."""


class Form(StrEnum):
    """How the differences are written."""

    text = "text"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


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
            help="The policy, TOML; or a folder, of which every NAME.toml is tested that has a "
            "NAME.cases.toml beside it.",
        ),
    ],
    cases: Annotated[
        Path | None,
        typer.Argument(
            metavar="CASES",
            help="The cases, TOML. Default: beside the policy, NAME.cases.toml for NAME.toml.",
        ),
    ] = None,
    format: Annotated[
        Form | None,
        typer.Option("--format", help="Default: by the name of the file, else text."),
    ] = None,
    output: Output = None,
) -> int:
    """Compare a policy's answers with those of a case file.

    It needs no ledger. A case is facts, and the answers that they should have: docs/from-
    handbook-to-policy.md shows
    how to write them. One row for each thing that is not as expected; with any the exit code is 1.
    """
    form = format or form_by_name(output)
    if form is Form.parquet and output is None and sys.stdout.isatty():
        raise CallProblem("parquet is no text for a terminal: give --output FILE")
    if form is Form.text and output is not None:
        raise CallProblem("--output takes --format csv, jsonl or parquet: text is for a terminal")
    differences: list[Difference] = []
    for policy, cases_file in pairs(file, cases):
        read = read_cases(cases_file)
        checked = check_cases(read, read_whole(policy).decode(), str(policy))
        differences += checked.differences
        count, many = len(read.cases), len(checked.differences)
        differs = f"{many:,} differ" if many != 1 else "1 differs"
        say(
            f"{policy}: {count:,} case{'' if count == 1 else 's'}, "
            f"{checked.answers:,} answers, {differs if many else 'all as expected'}"
        )
    write(differences, form, output)
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


def form_by_name(output: Path | None) -> Form:
    """Return the form that the name of the file says; csv of a file where it says none."""
    if output is None:
        return Form.text
    suffix = output.suffix.lower().lstrip(".")
    return Form(suffix) if suffix in ("jsonl", "parquet") else Form.csv


def write(differences: list[Difference], form: Form, output: Path | None) -> None:
    """Write what differs as a table."""
    if form is not Form.text:
        # Here: the core answers in words; every other form is made of Arrow's tables.
        import pyarrow as pa

        # And this with them.
        from attempt_ledger.cli.everybody import Table, write_table

        schema = pa.schema([(name, pa.string()) for name in Difference._fields])
        table = pa.Table.from_pylist([each._asdict() for each in differences], schema=schema)
        write_table(table, Table(form.value), output)
    elif differences:
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
        show_page(page(*blocks))
