"""What commands about the read model share: which file, and how a person hears what is done."""

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
    from replay.read_model.build import Options

ReadModelFile = Annotated[
    Path | None,
    typer.Option(
        "--views", metavar="FILE", help="The read model. Default: the ledger's own name .views."
    ),
]


def read_model_of(call: Access, named: Path | None) -> Path:
    """Return the path of the read model that is meant."""
    if named is not None:
        return Path(os.path.realpath(named))
    return Path(f"{os.path.realpath(call.path)}.views")


def options() -> Options:
    """Return how to tell on standard error what is done, and to compile when it comes to it."""
    from replay.read_model.build import Options  # with Arrow and sqlite-utils: doctor needs neither

    return Options(compiled, say, counting)


def compiled() -> Kernels:
    """Return the compiled fold, from an earlier run or made now."""
    from replay.compiled import kernels_in  # with the compiler

    return kernels_in(cache_folder(say), say)
