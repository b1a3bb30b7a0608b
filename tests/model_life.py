"""One ledger's life beside its model: everything that may be done to it, and what must hold then.

The rules are drawn by hypothesis in `test_model.py`. After a crash or a restore the life goes on in
another folder, with the files as they were left.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ledger_facts import SetClock
from model_ledger import CONFLICT, DUPLICATE, NEW, REFUSED, Model, Outcome

from ledger.cloudevents import to_cloudevent
from ledger.events import Recorded
from ledger.facts import Fact
from ledger.ledger import Ledger
from ledger.outcomes import Appended, Conflict, Duplicate, Refused
from ledger.tlog.checkpoint import LogPaths, log_paths, need_verifier_key
from ledger.tlog.sealer import make_key, seal
from ledger.tlog.verify_proof import VerifierKey

ROOT = Path(__file__).parents[1]
_NAMES = {Appended: NEW, Duplicate: DUPLICATE, Conflict: CONFLICT, Refused: REFUSED}
_BY_NAME = {kind.__name__: what for kind, what in _NAMES.items()}


class Crash(Exception):
    """The machine stopped here; what is on its disk was copied."""


class Elsewhere:
    """A process that appends when it is asked; started again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def append(
        self, life: Life, facts: Sequence[Fact], die: str | None = None
    ) -> list[Outcome] | None:
        """Append in that process; None if it died over it, as it was told to."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "model_worker.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env={"PYTHONPATH": str(ROOT)},
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {
            "path": str(life.path),
            "keys": str(life.keys),
            "now": life.clock.now,
            "lines": [to_cloudevent(Recorded(0, fact.time, *fact.row())) for fact in facts],
            "die": die,
        }
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        if said:
            return [Outcome(_BY_NAME[name], position) for name, position in json.loads(said)]
        assert die is not None, "it ended by itself"
        self.close()
        return None

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


class Life:
    """A ledger in a folder, open, with its clock, keys and log, and the model of it."""

    def __init__(self, folder: Path, now: int) -> None:
        self._folder = folder
        self.clock = SetClock(now)
        self.model = Model()
        self.root = self.new_folder()
        self.ledger = Ledger.create(self.path, clock=self.clock, keys=self.keys)
        make_key(self.place, str(self.ledger.about("ledger")))

    def new_folder(self) -> Path:
        """Make a folder to live in."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self.root / "a.ledger"

    @property
    def keys(self) -> Path:
        """The key file."""
        return self.root / "a.keys"

    @property
    def place(self) -> LogPaths:
        """Where its log lies."""
        return log_paths(self.path, self.root / "signing-key")

    @property
    def verifier(self) -> VerifierKey:
        """The log's verifier key."""
        return need_verifier_key(self.place)

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def reopen(self) -> None:
        """Open the ledger that lies in the folder."""
        self.ledger.close()
        self.ledger = Ledger.open(self.path, clock=self.clock, keys=self.keys)

    def seal(self) -> int:
        """Seal everything; gives how much that is."""
        head = self.ledger.head().position
        return seal(self.place, str(self.ledger.about("ledger")), head, processes=1).checkpoint.size

    # -- crashes

    def image(self) -> Path:
        """Copy everything as it lies there now, as after a crash."""
        to = self.new_folder()
        shutil.copytree(self.root, to, dirs_exist_ok=True)
        return to

    @contextmanager
    def crashing(self) -> Iterator[None]:
        """Go on in what `image` a Crash carried, whatever became of the ledger itself."""
        image: Path | None = None
        try:
            yield
        except Crash as crash:
            image = crash.args[0]
        assert image is not None, "there was no crash"
        self.move(image)

    def move(self, root: Path) -> None:
        """Live on in another folder."""
        with suppress(Exception):
            self.ledger.close()
        shutil.rmtree(self.root)
        self.root = root
        self.ledger = Ledger.open(self.path, clock=self.clock, keys=self.keys)

    # -- appending

    def agree(self, found: Sequence[Any], expected: Sequence[Outcome]) -> None:
        """Compare what became of facts with what the model says."""
        told = [
            each
            if isinstance(each, Outcome)
            else Outcome(_NAMES[type(each)], getattr(each, "position", 0))
            for each in found
        ]
        assert told == list(expected)
