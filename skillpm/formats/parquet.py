"""Rows as parquet, with pyarrow (extra ``parquet``)."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from skillpm.errors import DocumentError, StorageError, UsageError

_ROWS = 4096  # of a group


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError("parquet needs pyarrow", hint="pip install 'skillpm-core[parquet]'") from None


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file.

    Raises:
        UsageError: pyarrow is missing.
        DocumentError: it is not parquet.
    """
    arrow, parquet = _module("pyarrow"), _module("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS):
                yield from batch.to_pylist()
    except (arrow.ArrowException, OSError) as error:
        raise DocumentError(f"not parquet: {str(error)[:200]}", path=str(path)) from None


def write_parquet(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write rows of texts, some thousand at once; no rows make no file.

    Raises:
        UsageError: pyarrow is missing.
        StorageError: the disk refused.
    """
    arrow, parquet = _module("pyarrow"), _module("pyarrow.parquet")
    writer: Any = None
    try:
        for group in _groups(rows):
            table = arrow.Table.from_pylist(group)
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}", hint="check the disk") from None
    finally:
        if writer is not None:
            writer.close()


def _groups(rows: Iterable[Mapping[str, str]]) -> Iterator[list[dict[str, str]]]:
    group: list[dict[str, str]] = []
    for row in rows:
        group.append(dict(row))
        if len(group) == _ROWS:
            yield group
            group = []
    if group:
        yield group
