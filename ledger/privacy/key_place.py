"""Where a key file lies, and how it is kept open there."""

from __future__ import annotations

import os
from pathlib import Path

from ledger.privacy.key_file import KeyFile
from ledger.privacy.key_storage import identity_of, key_problems
from ledger.problems import KeyFileProblem


class KeyPlace:
    """Where a key file lies: opened when it is needed, and kept open as long as it lies there.

    A connection to a file that was moved away would write keys where nobody finds them again. So
    at each use the open file is compared with the one that lies there, and once more after a write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: KeyFile | None = None
        self._process = os.getpid()

    def key_file(self, remembered: str | None, *, begun: bool = False) -> KeyFile | None:
        """Return the key file; None if there is none and none is `remembered`.

        With a transaction `begun`, if that is asked for. Raises KeyFileProblem if it is missing, or
        is not the one `remembered` by its id.
        """
        with key_problems(self.path):
            found = identity_of(self.path)
            if found is None:
                self.close()
                if remembered is None:
                    return None
                raise KeyFileProblem(
                    f"the key file {self.path} is missing: put it back, or name the one this "
                    "ledger was written with; nothing was changed"
                )
            if self._open is None or self._open.identity != found:
                self.close()
                self._open = KeyFile(self.path)
            keys = self._open
            try:
                if begun:
                    keys.begin()
                keys.check(remembered)
            except BaseException:
                keys.rollback()
                raise
            return keys

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._open is not None and self._process == os.getpid():
            self._open.close()
        self._open = None
