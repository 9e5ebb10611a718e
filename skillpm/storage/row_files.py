"""Files of rows: JSON Lines, a list in JSON, parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skillpm.formats.parquet import read_parquet
from skillpm.formats.strict import read_json
from skillpm.storage.files import expect_file, read_text

# around the rows of evals.json and of its kin
_AROUND = ("evals", "tests", "test_cases", "cases", "queries", "questions", "examples", "samples", "tasks", "rows",
           "data")  # fmt: skip


def read_rows(path: Path) -> list[tuple[int, Any]]:
    """Return the values of a file with their lines: JSON Lines, a list in JSON, evals.json and its kin, or parquet.

    Raises:
        UsageError: there is no such file, or pyarrow is missing.
        DocumentError: it is wrong.
    """
    expect_file(path, "give JSON Lines, a JSON list or parquet")
    if path.suffix == ".parquet":
        return list(enumerate(read_parquet(path), 1))
    text = read_text(path).removeprefix("\ufeff")
    if path.suffix == ".json":
        return list(enumerate(_listed(read_json(text, path=str(path))), 1))
    lines = enumerate(text.split("\n"), 1)
    return [(number, read_json(line, path=str(path), line=number)) for number, line in lines if line.strip()]


def _listed(root: Any) -> list[Any]:
    """Return the rows of a JSON document: a list, an object around a list, or one row."""
    if isinstance(root, dict):
        root = next((root[name] for name in _AROUND if _is_listing(root.get(name))), root)
    return root if isinstance(root, list) else [root]


def _is_listing(value: Any) -> bool:
    """Is a value a list of rows, and not one of the texts of a row, such as its `examples`?"""
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
