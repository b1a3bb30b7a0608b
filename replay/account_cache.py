"""An account's own cache folder: compiled code by digest, and the key of its column caches."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from ledger.own_folder import own_folder, read_own, write_own

_NAMES: Final = re.compile(r"[0-9a-f]{16}|key(\.[0-9a-f]{16}\.tmp)?")
_CODE: Final = re.compile(r"[\w.-]+\.nb[ic](\.[0-9a-f]{16}\.tmp)?")
_KEY_BYTES: Final = 32


def account_cache(path: Path) -> Path:
    """Return the folder with every link resolved; raises NotOurs or OSError."""
    return own_folder(path.resolve(), _NAMES)


def code_folder(path: Path, digest: str) -> Path:
    """Return the folder in it for code compiled from sources of a digest; raises as above."""
    return own_folder(account_cache(path) / digest, _CODE)


def cache_key(path: Path) -> bytes:
    """Return the key in the folder, by which this account knows the column caches that it made.

    Made at random if it is not there, or cut off. Raises NotOurs or OSError.
    """
    file = account_cache(path) / "key"
    for _ in range(2):
        with suppress(FileNotFoundError):
            key = read_own(file)
            if len(key) == _KEY_BYTES:
                return key
            file.unlink(missing_ok=True)
        draft = file.with_name(f"key.{secrets.token_hex(8)}.tmp")
        write_own(draft, secrets.token_bytes(_KEY_BYTES))
        try:
            os.link(draft, file)  # whoever comes second takes the key of the first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return read_own(file)
