"""What running processes and a folder take: processes, memory, and bytes on a disk, of files without a name as well."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import resource
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

_FILES, _LEVELS = 20_000, 100  # of a folder; as many files may be open
_MAPPINGS_BYTES = 4 << 20  # of the kernel's lists of some 40,000; 128 ordinary processes have a third of it


def descendants(root: int) -> tuple[list[int], int]:
    """Return the processes that a process has started and that still run, and the bytes of memory that they use."""
    parents: dict[int, list[tuple[int, int]]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = path.read_bytes().rpartition(b") ")[2].split()
            parents.setdefault(int(fields[1]), []).append((int(path.parent.name), int(fields[21])))
    started, pages, waiting = list[int](), 0, [root]
    while waiting:
        for child, resident in parents.pop(waiting.pop(), ()):
            started.append(child)
            pages += resident
            waiting.append(child)
    return started, pages * resource.getpagesize()


def unlinked_bytes(processes: Iterable[int], folder: Path, largest: int) -> int | None:
    """Return the bytes of files that have no name, but are open or mapped: on the disk of a folder, or in memory.

    None if so much is open or mapped that a look at it would take long.
    """
    disk, sizes = folder.stat().st_dev, dict[int, int]()
    mappings_left, files_left = _MAPPINGS_BYTES, _FILES
    for process in processes:
        with contextlib.suppress(OSError), Path(f"/proc/{process}/maps").open("rb") as file:
            mappings = file.read(mappings_left + 1)
            mappings_left -= len(mappings)
            for inode, size in _mapped(mappings, disk):
                sizes[inode] = max(min(size, largest), sizes.get(inode, 0))
        with contextlib.suppress(OSError), os.scandir(f"/proc/{process}/fd") as entries:
            for entry in itertools.islice(entries, files_left + 1):
                files_left -= 1
                with contextlib.suppress(OSError):  # it may be closed
                    status = entry.stat()
                    if _has_no_name(entry.path, status, disk):
                        sizes[status.st_ino] = status.st_blocks * 512
        if mappings_left < 0 or files_left < 0:
            return None
    return sum(sizes.values())


def _mapped(mappings: bytes, disk: int) -> Iterator[tuple[int, int]]:
    """Yield (inode, bytes) of mapped files of a disk that have no name."""
    for line in re.findall(rb"^.* \(deleted\)$", mappings, re.MULTILINE):
        addresses, _, offset, device, inode = line.split()[:5]
        start, end = (int(word, 16) for word in addresses.split(b"-"))
        if os.makedev(*(int(word, 16) for word in device.split(b":"))) == disk:
            yield int(inode), int(offset, 16) + end - start


def _has_no_name(path: str, status: os.stat_result, disk: int) -> bool:
    if not stat.S_ISREG(status.st_mode) or status.st_nlink:
        return False
    return status.st_dev == disk or str(Path(path).readlink()).startswith("/memfd:")


def is_full(folder: Path, most: int) -> bool:
    """Do the files below a folder take more than ``most`` bytes, or are they too many, too deep or locked?"""
    waiting, count, size = [str(folder)], 0, 0
    deepest = str(folder).count("/") + _LEVELS
    while waiting:
        path = waiting.pop()
        try:
            entries = _entries(path)
        except PermissionError:  # it was unlocked, and locked again at once
            return True
        for name, status in entries:
            count += 1
            if stat.S_ISDIR(status.st_mode):
                waiting.append(name)
            else:
                size += status.st_blocks * 512
            if count > _FILES or name.count("/") > deepest:
                return True
    return size > most


def _entries(folder: str, *, unlock: bool = True) -> list[tuple[str, os.stat_result]]:
    """Return the paths in a folder with their statuses; a folder that its owner may not read is unlocked."""
    entries = []
    try:
        with os.scandir(folder) as items:
            for item in itertools.islice(items, _FILES + 1):
                with contextlib.suppress(FileNotFoundError):  # it may be gone, and the others are counted still
                    entries.append((item.path, item.stat(follow_symlinks=False)))
    except PermissionError:
        if not unlock:
            raise
        _unlock(folder)
        return _entries(folder, unlock=False)
    except OSError:
        return []
    return entries


def _unlock(folder: str) -> None:
    """Let the owner of a folder read it again; a link that has taken its place is not followed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.chmod(f"/proc/self/fd/{descriptor}", 0o700)  # noqa: PTH101
        finally:
            os.close(descriptor)
