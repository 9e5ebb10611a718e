"""``skillpm import``: takes over the lock of another skill manager."""

from __future__ import annotations

from pathlib import Path

from skillpm.errors import DocumentError, LockOutOfDateError, PluginError
from skillpm.model.foreign_lock import ForeignLock, Left, Taken
from skillpm.model.ports import Importer
from skillpm.ops.extensions import foreign_importer
from skillpm.ops.foreign_lock import BUILT_IN, read_foreign_lock
from skillpm.runtime.collect import blaming
from skillpm.settings import Settings
from skillpm.storage.files import storage_error

__all__ = ["import_lock"]

MAX_LOCK = 4 << 20  # bytes
MAX_REQUIREMENT = 2048  # characters


def import_lock(path: Path, settings: Settings) -> ForeignLock:
    """Return what of a foreign lock can be required, and why not the rest; nothing is written.

    The names of the locks that are built in are never a plugin's; a file of any other name is the plugin's that reads
    that name, or else is looked at for the form of a lock that is built in.

    Raises:
        StorageError: the file cannot be read.
        DocumentError: it is too large, not text, or no lock that is known.
        LockOutOfDateError: it holds conflict markers, or has a version that is not known.
        PluginError: two plugins read files of this name, or the one that does failed.
    """
    text = _read(path)
    if text.startswith("<<<<<<<") or "\n<<<<<<< " in text:
        raise LockOutOfDateError(f"{path} holds conflict markers", hint="take one side with git, then try again")
    found = None if path.name in BUILT_IN else foreign_importer(path.name, settings)
    return read_foreign_lock(text, path) if found is None else _ask(found.plugin, found.record, text, path)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LOCK + 1)
    except OSError as error:
        raise storage_error("read", path, error) from None
    if len(data) > MAX_LOCK:
        raise DocumentError(f"larger than {MAX_LOCK} bytes", path=str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 at byte {error.start}", path=str(path)) from None


def _ask(plugin: str, importer: Importer, text: str, path: Path) -> ForeignLock:
    """Let a plugin read a lock; what it gives has come out of somebody's repository and is looked at here again."""
    who = f"{plugin}: importer `{importer.name}`"
    with blaming(plugin, who):
        entries = list(importer.read(text, path))
    taken: dict[str, Taken] = {}
    left: list[Left] = []
    for entry in entries:
        if isinstance(entry, Left):
            left.append(entry)
        elif not isinstance(entry, Taken):
            raise PluginError(f"{who}: gave a {type(entry).__name__}, not a Taken or Left", plugin=plugin)
        elif not _is_plain(entry.requirement):
            left.append(Left(entry.name, "its requirement is not one line of text"))
        else:
            taken.setdefault(entry.requirement, entry)
    return ForeignLock(path.name, tuple(taken.values()), tuple(left))


def _is_plain(requirement: str) -> bool:
    return 0 < len(requirement) <= MAX_REQUIREMENT and requirement.isprintable()
