"""The page about the tables says what the schema says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from projections.tables import KEPT

GENERATE = Path(__file__).parents[1] / "docs" / "generate_tables.py"


def test_the_page_about_the_tables_is_up_to_date() -> None:
    """docs/tables.md is written from the schema, by docs/generate_tables.py."""
    done = subprocess.run(
        [sys.executable, str(GENERATE), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_what_is_indexed_and_referred_to_is_there() -> None:
    """Keys, indexes and references name columns and tables."""
    by_name = {table.name: table for table in KEPT}
    for number, table in enumerate(KEPT):
        assert set(table.key) <= set(table.names)
        for columns in table.indexes.values():
            assert set(columns) <= set(table.names)
        for column, other in table.refers.items():
            assert column in table.names
            assert by_name[other].key == (column,)
            assert KEPT.index(by_name[other]) < number
