"""Files that processes of several machines need: those of the first machine are sent to the others, and back."""

from __future__ import annotations

from pathlib import Path

from skillpm.storage.files import file_sha256
from skillpm.train.hf.together import agreed, gathered, leads_machine, machine, machines, meet, place

_PIECE = 64 * 1024 * 1024  # bytes that are sent at once


def share_folder(folder: Path) -> None:
    """Have the files below a folder of the first machine on the others, too; all processes call this.

    Raises:
        OSError: they cannot be written.
    """
    shared = agreed(_digests(folder) if place() == 0 else {}) if machines() > 1 else {}
    for name, digest in shared.items():
        path = folder / name
        lacks = machine() > 0 and leads_machine() and not (path.is_file() and file_sha256(path) == digest)
        if any(gathered(lacks)):
            _send(path, receives=lacks)
    meet()


def _send(path: Path, *, receives: bool) -> None:
    """Send a file of the first process in pieces, to those that receive it."""
    if receives:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    size = agreed(path.stat().st_size if place() == 0 else 0)
    for start in range(0, size, _PIECE):
        piece = agreed(_piece(path, start) if place() == 0 else b"")
        if receives:
            with path.open("ab") as file:
                file.write(piece)
    if receives:
        path.touch()


def _piece(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(_PIECE)


def collect_files(folder: Path) -> None:
    """Have the few files that the processes of other machines wrote into a folder in that of the first machine, too.

    Raises:
        OSError: they cannot be written.
    """
    meet()
    if machines() == 1:
        return
    sends = machine() > 0 and leads_machine()
    for files in gathered({path.name: path.read_bytes() for path in folder.iterdir()} if sends else {}):
        for name, data in files.items() if place() == 0 else ():
            (folder / name).write_bytes(data)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}
