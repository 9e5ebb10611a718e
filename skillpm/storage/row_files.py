"""Files of rows: JSON Lines, a list in JSON, parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skillpm.errors import DocumentError, UsageError
from skillpm.formats.parquet import read_parquet
from skillpm.formats.strict import strict_json
from skillpm.storage.files import read_text


def read_rows(path: Path) -> list[tuple[int, Any]]:
    """Return the values of a file with their lines: JSON Lines, a list in JSON, evals.json, or parquet.

    Raises:
        UsageError: there is no such file, or pyarrow is missing.
        DocumentError: it is wrong.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}", hint="give JSON Lines, a JSON list or parquet")
    if path.suffix == ".parquet":
        return list(enumerate(read_parquet(path), 1))
    text = read_text(path)
    if path.suffix == ".json":
        root = _parsed(text, path, None)
        rows = root.get("evals", [root]) if isinstance(root, dict) else root
        return list(enumerate(rows if isinstance(rows, list) else [rows], 1))
    lines = enumerate(text.split("\n"), 1)
    return [(number, _parsed(line, path, number)) for number, line in lines if line.strip()]


def _parsed(text: str, path: Path, line: int | None) -> Any:
    try:
        return strict_json(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"not JSON: {error}", path=str(path), line=line) from None
