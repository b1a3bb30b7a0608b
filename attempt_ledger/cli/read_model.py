"""What the commands about views share: which file, and how they tell what they do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attempt_ledger.access import Access
from attempt_ledger.cli.output import say
from attempt_ledger.cli.progress import counting
from attempt_ledger.places import cache_folder

if TYPE_CHECKING:
    from replay.compiled import Kernels
    from replay.read_model.follow import Options

ReadModelFile = Annotated[
    Path | None,
    typer.Option(
        "--views", metavar="FILE", help="The file of views. Default: the ledger's own name .views."
    ),
]


def read_model_of(call: Access, named: Path | None) -> Path:
    """Return the file of views that is meant."""
    if named is not None:
        return Path(os.path.realpath(named))
    return Path(f"{os.path.realpath(call.path)}.views")


def options() -> Options:
    """Say on standard error what is done, with bars on a terminal; compile when it comes to it."""
    from replay.read_model.follow import Options

    return Options(compiled, say, counting)


def compiled() -> Kernels:
    """Return the compiled fold, from an earlier run or made now."""
    from replay.compiled import kernels_in

    return kernels_in(cache_folder(say), say)
