"""Outputs on their way out: to standard output or a file, each with its receipt."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from attempt_ledger.cli.forms import endings, named_by
from attempt_ledger.cli.output import PROGRAM, bytes_to, say
from attempt_ledger.cli.problems import CallProblem
from ledger.instants import format_instant
from ledger.ledger import Ledger
from projections.standing import Moment
from replay.many import many
from replay.receipts import INSIDE, Form, Receipt, beside, heading
from replay.snapshot import Known, snapshot_at

if TYPE_CHECKING:
    from replay.outputs import Output

ReceiptFile = Annotated[
    Path | None,
    typer.Option(
        "--receipt",
        metavar="FILE",
        help="Write the receipt here. Default: inside parquet, xlsx and html; beside other files, "
        "as FILE.receipt.json.",
    ),
]
PICTURES = ("svg", "png", "html")


DRAWN_BY = ("altair", "vl-convert-python")
"""What draws the pictures; another version of them may draw a little otherwise."""


def program_of(form: Form, of: str = "report") -> str:
    """Name this program and, where there is a picture in a form, what draws it, with versions."""

    named = f"{PROGRAM} {version(PROGRAM)}"
    if of == "report" and (form in ("html", "xlsx") or form.startswith("picture.")):
        return ", ".join([named, *(f"{each} {version(each)}" for each in DRAWN_BY)])
    return named


def deliver(output: Output, path: Path | None, receipt_path: Path | None) -> None:
    """Write an output to its file, its receipt inside or beside it."""

    inside = output.receipt.form in INSIDE
    place = receipt_place(path, receipt_path, inside=inside)
    with both(path, place) as (file, aside):
        many("write")(output, file)
        if aside is not None:
            aside.write(output.settled.to_json().encode())
    receipt = output.settled
    say_left_out(output)
    if path is not None:
        plural = "" if receipt.rows == 1 else "s"
        kept = "" if place is None else f"; receipt in {place}"
        say(f"{path}: {receipt.rows:,} row{plural}{'; receipt inside' if inside else kept}")
    elif place is None and not inside and receipt.form != "text":
        say_receipt(receipt)


def say_left_out(output: Output) -> None:
    """Announce what a table of what came late leaves out, where its form does not."""
    if output.moved_in and output.receipt.form not in ("text", "html"):
        say(output.left_out)


def say_receipt(receipt: Receipt) -> None:
    """Announce a receipt in one sentence, where nothing else carries it."""

    say(f"{heading(receipt)}: {receipt.rows:,} rows, sha256 {receipt.sha256}")


def receipt_place(path: Path | None, named: Path | None, *, inside: bool) -> Path | None:
    """Return where a receipt goes, None for nowhere but inside."""

    if named is not None:
        return named
    if inside or path is None or (path.exists() and not path.is_file()):
        return None
    return beside(path)


@contextmanager
def both(path: Path | None, place: Path | None) -> Iterator[tuple[BinaryIO, BinaryIO | None]]:
    """Open where an output goes and where its receipt goes, if it goes anywhere; raises OSError.

    Both are on the disk before either takes its place, so that a full disk leaves the two that were
    there, and never one of each.
    """
    with ExitStack() as stack:
        file = stack.enter_context(bytes_to(path))
        aside = None if place is None else stack.enter_context(bytes_to(place))
        yield file, aside
        if aside is not None:
            settle(aside)
            if path is not None:
                settle(file)


def settle(file: BinaryIO) -> None:
    """See to it that a regular file's bytes are on the disk."""
    file.flush()
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        os.fsync(file.fileno())


def deliver_picture(output: Output, path: Path) -> None:
    """Draw a report into a file, its receipt beside it; raises OSError."""

    form = f"picture.{path.suffix.lower().lstrip('.')}"
    update: dict[str, str] = {"form": form, "program": program_of(form)}  # type: ignore[arg-type]
    drawn = io.BytesIO()
    many("write")(output._replace(receipt=output.receipt.model_copy(update=update)), drawn)
    picture = drawn.getvalue()
    update["file_sha256"] = hashlib.sha256(picture).hexdigest()
    receipt = output.receipt.model_copy(update=update)
    with both(path, beside(path)) as (file, aside):
        file.write(picture)
        assert aside is not None
        aside.write(receipt.to_json().encode())
    say(f"{path}: drawn; receipt in {beside(path)}")


def check_places(*paths: Path | None) -> None:
    """Refuse a file that has no place to be in before anything is computed; raises OSError."""
    for path in paths:
        if path is None or (path.exists() and not path.is_file()):
            continue
        folder = path.absolute().parent
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def check_picture(path: Path | None) -> None:
    """Refuse the name of a picture that says no kind we draw."""
    if path is not None and named_by(PICTURES, path, "--chart") is None:
        raise CallProblem(f"--chart {path}: accepted are files named {endings(PICTURES)}")


def moment_of(ledger: Ledger, as_of: int, known: Known, now: int) -> Moment:
    """Resolve the two axes; refuse a known_at at which the ledger knew nothing."""

    moment = snapshot_at(ledger, as_of, known, now=now).moment
    if moment.position == 0 and ledger.head().position > 0:
        first = next(iter(ledger.read(0, 1))).recorded_at
        raise CallProblem(
            "nothing was known then: the ledger's first event was recorded at "
            f"{format_instant(first)}; give a later --known-at, or --restated for what is known now"
        )
    return moment
