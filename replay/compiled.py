"""The same fold, compiled: the plain functions of `projections.fold` made known to numba.

Nothing is written twice. Each function is registered under its own name, so
that compiled code calling it compiles it too. Only this module and what
stands on it import numba: one candidate's question must not pay for it.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import platform
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property, lru_cache
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, Final, TypeAlias

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, CompileResult, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.serialize import dumps
from numba.core.typed_passes import NativeLowering
from numba.extending import register_jitable

from ledger.own_folder import (
    NotOurs,
    account_cache,
    own_folder,
    read_own,
    remove_ours,
    write_own,
)
from projections.fold import (
    ahead,
    authorizations,
    calendar,
    caps,
    catalogue,
    certifications,
    covers,
    eligible_from,
    facts,
    grants,
    heap,
    passes,
    rules,
    sittings,
    verdict,
    walk,
)
from replay import kernels, questions, reached
from replay.interpreted import Kernels
from retake_policies import rules as policy_rules

Say: TypeAlias = Callable[[str], None]
"""Called with a sentence: what a person should know: that something is made anew, or not kept."""


COMPILING: Final = "the rules are compiled first, which is kept for the next time"


def _quiet(sentence: str) -> None:
    """Print nothing."""


FOLD: Final[tuple[ModuleType, ...]] = (
    policy_rules,
    calendar,
    heap,
    catalogue,
    certifications,
    passes,
    covers,
    grants,
    authorizations,
    sittings,
    walk,
    ahead,
    caps,
    rules,
    verdict,
    eligible_from,
)
"""Every module whose functions are compiled, lowest first."""

SOURCES: Final[tuple[ModuleType, ...]] = (*FOLD, facts, questions, reached, kernels)
"""Every module that compiled code reaches, constants and layouts among them."""

# Handing a tuple of sixty columns to each small function cost forty times the work itself:
# counting references to them, though nothing here is ever allocated, and copying them. An entry for
# C would hold all of it once more.
_OPTIONS: Final[dict[str, Any]] = {"_nrt": False, "no_cfunc_wrapper": True}


class _Piece(JITCodeLibrary):
    """The code of one function of the fold, optimized only in the loops that it is put into.

    As numba goes about it, each of a hundred functions is optimized and made machine code by
    itself, with all that it calls, though nobody ever calls it: two thirds of compiling a loop.
    """

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()  # type: ignore[no-untyped-call]
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)  # type: ignore[no-untyped-call]
class _LowerPiece(NativeLowering):
    """Lower a function to a piece, without an entry for Python."""

    _name = "lower_piece"

    def run_pass(self, state: Any) -> bool:
        library: Any = _Piece  # numba's own classes are untyped
        state.library = library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)  # type: ignore[no-untyped-call]
        lowered = state["cr"]
        entry: Any = [].append  # numba knows code by a built-in function; this one is never called
        state["cr"] = lowered._replace(cfunc=entry)
        state.targetctx.insert_user_function(entry, lowered.fndesc, [state.library])
        return True


class _Pieces(CompilerBase):
    """numba's compiler, but for what becomes of a function in the end."""

    def define_pipelines(self) -> list[PassManager]:
        usual: Any = DefaultPassBuilder
        passes = usual.define_nopython_pipeline(self.state, "piece")
        passes.passes = [
            (_LowerPiece if each is NativeLowering else each, what) for each, what in passes.passes
        ]
        passes.finalize()
        return [passes]


_INTERPRETED: Final = frozenset(
    {
        "compile_rules",
        "cap_starts",
        "_at_most",
        "_anchor",
        "_start",
        "rule_book",
        "room",
        "room_to_walk",
        "room_ahead",
        "used_by",
        "first_eligible",
        "reasons_in",
    }
)


def fold_functions() -> list[Callable[..., Any]]:
    """Return every function of the fold that is compiled."""
    return [
        value
        for module in FOLD
        for name, value in vars(module).items()
        if callable(value)
        and getattr(value, "__module__", None) == module.__name__
        and not isinstance(value, type)
        and name not in _INTERPRETED
    ]


_FILES: Final = re.compile(r"[\w.-]+\.nb[ic](\.[0-9a-f]{16}\.tmp)?")
"""What lies in a folder of compiled code."""


_HELPERS: Final[tuple[Callable[..., Any], ...]] = (
    reached.question,
    reached.next_fact,
    reached.first_sitting,
    kernels.same_stretch,
    reached.go_on,
    kernels.number_before,
    reached.may_be_booked,
    kernels.eligible_since,
)
"""What the loops share among themselves."""


def kernels_in(cache: Path | None, say: Say = _quiet) -> Kernels:
    """Return the kernels, which are compiled as they are first called, or loaded from a folder.

    With None nothing is kept. `say` is called with what is compiled, and what is thrown away.
    """
    with _loading:
        kept = _compiled(cache)
    kept.say = say
    return kept.kernels


_loading: Final = Lock()
"""Workers of an engine are threads of one process: functions are made known to numba once."""


@lru_cache(maxsize=4)
def _compiled(cache: Path | None) -> _Compiled:
    for function in (*fold_functions(), *_HELPERS):
        # The calendar is asked in twenty places, and takes few numbers: put into all of them it was
        # two thirds of the code.
        inline = function.__module__ != calendar.__name__
        register_jitable(**_OPTIONS, forceinline=inline, pipeline_class=_Pieces)(function)
    return _Compiled(cache)


class _Compiled:
    """The kernels of one folder of compiled code, and whoever hears of it just now."""

    def __init__(self, cache: Path | None) -> None:
        self.say: Say = _quiet
        self._cache = cache
        self._earlier: set[str] = set()
        self.kernels = Kernels(*(self.compile(getattr(kernels, name)) for name in Kernels._fields))

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function compiled, which is kept if there is a folder."""
        made = numba.njit(nogil=True, **_OPTIONS)(function)
        made._cache = _Code(function, self)
        return made  # type: ignore[no-any-return]

    @cached_property
    def folder(self) -> Path | None:
        """The folder in which this release's code is kept, made and found safe; None for none.

        numba looks only at the file of the entry function to tell whether cached code is stale,
        and after an edit of a rule went on with the old one. So the folder is named by a digest of
        everything that is compiled.
        """
        if self._cache is None:
            return None
        try:
            return own_folder(account_cache(self._cache) / digest(), _FILES)
        except (NotOurs, OSError) as problem:
            self.once(f"compiled rules cannot be kept in {self._cache}: {problem}")
            return None

    def once(self, sentence: str) -> None:
        """Announce something once."""
        if sentence not in self._earlier:
            self._earlier.add(sentence)
            self.say(sentence)


class _Code:
    """The compiled code of one function in files, in place of numba's own cache.

    numba unpickles whatever lies in its folder, and pickles run code; and one bit that had flipped
    ended every later run. Here a file is read only from a folder of our own, and unpickled only if
    its digest is the one that stands beside it; otherwise it is thrown away and made anew. A
    `.nbi` begins with its own digest and names that of the code for each signature, a `.nbc`.
    """

    def __init__(self, function: Callable[..., Any], all: _Compiled) -> None:
        self._name = function.__name__
        self._code = function.__code__.co_code
        self._all = all

    @property
    def cache_path(self) -> str | None:
        """Where it is kept, for numba's statistics."""
        return None if self._all.folder is None else str(self._all.folder)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the code for a signature, None if it has to be compiled."""
        target.refresh()
        folder = self._all.folder
        if folder is not None:
            try:
                sha256 = self._index(folder).get(self._key(signature, target.codegen()))
                if sha256 is not None:
                    return self._load(folder, sha256, target)
            except FileNotFoundError:
                pass
            except (NotOurs, OSError) as problem:
                self._drop(folder, str(problem))
            except Exception:  # whatever a file that is no index, or an odd pickle, may raise
                self._drop(folder, f"the code of {self._name} cannot be read")
        self._all.once("the rules are compiled first" if folder is None else COMPILING)
        return None

    def save_overload(self, signature: Any, made: Any) -> None:
        """Keep the code for a signature, if that can be."""
        folder = self._all.folder
        if folder is None or made.library.has_dynamic_globals:
            return
        content = dumps(made._reduce())  # type: ignore[no-untyped-call]
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            try:
                index = self._index(folder)
            except FileNotFoundError:
                index = {}
            _write(folder / f"{self._name}.{sha256[:16]}.nbc", content)
            index[self._key(signature, made.codegen)] = sha256
            written = json.dumps(index).encode()
            summed = hashlib.sha256(written).hexdigest().encode()
            _write(folder / f"{self._name}.nbi", summed + b"\n" + written)
        except (NotOurs, OSError) as problem:
            self._all.once(f"compiled rules cannot be kept in {folder}: {problem}")

    def flush(self) -> None:
        """Forget what is kept, as numba's recompiling asks."""
        if self._all.folder is not None:
            (self._all.folder / f"{self._name}.nbi").unlink(missing_ok=True)

    def _key(self, signature: Any, codegen: Any) -> str:
        """Name what code depends on besides the sources: the types and the processor."""
        named = (str(signature), codegen.magic_tuple(), self._code)
        return hashlib.sha256(repr(named).encode()).hexdigest()

    def _index(self, folder: Path) -> dict[str, str]:
        sha256, _, content = read_own(folder / f"{self._name}.nbi").partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != sha256:
            raise NotOurs(f"the index of {self._name} is not as it was written")
        return dict(json.loads(content))

    def _load(self, folder: Path, sha256: str, target: Any) -> Any:
        content = read_own(folder / f"{self._name}.{sha256[:16]}.nbc")
        if hashlib.sha256(content).hexdigest() != sha256:
            raise NotOurs(f"the code of {self._name} is not as it was written")
        return CompileResult._rebuild(target, *pickle.loads(content))  # type: ignore[no-untyped-call]

    def _drop(self, folder: Path, problem: str) -> None:
        """Throw away what is kept of the function; say so."""
        self._all.once(f"the compiled rules in {folder} are damaged, and made anew: {problem}")
        with suppress(NotOurs, OSError):
            remove_ours(folder, re.compile(rf"{self._name}\.(nbi|[0-9a-f]{{16}}\.nbc)"))


def _write(path: Path, content: bytes) -> None:
    """Write a file that only this account may read, wholly or not at all."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    write_own(draft, content)
    draft.replace(path)


@cache
def digest() -> str:
    """Return a digest of all sources that are compiled, of numba and of the processor."""
    summed = hashlib.sha256(rules_digest().encode())
    summed.update(Path(__file__).read_bytes())  # how it is compiled
    named = (
        numba.__version__, llvmlite.__version__, np.__version__, platform.python_version(),
        llvm.get_host_cpu_name(),
    )  # fmt: skip
    summed.update(repr(named).encode())
    return summed.hexdigest()[:16]


@cache
def rules_digest() -> str:
    """Return a digest of all sources that are compiled: the rules, the same on every machine."""
    summed = hashlib.sha256()
    for module in SOURCES:
        summed.update(Path(str(module.__file__)).read_bytes())
    return summed.hexdigest()[:16]
