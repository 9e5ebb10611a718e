"""Links to folders: symbolic links, and the junctions of Windows, which need no privilege."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skillpm.storage.record import LinkKind

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
_MOUNT_POINT = 0xA0000003  # the reparse tag of a junction: [MS-FSCC] 2.1.2.1


def link_kind(path: Path) -> LinkKind | None:
    """Return the kind of link at a path, which may dangle, or None."""
    if path.is_symlink():
        return "symlink"
    return "junction" if _is_junction(path) else None


def make_link(path: Path, target: Path) -> LinkKind:
    """Make the first kind of link to a folder that the system allows; return ``copy`` if it allows none.

    Raises:
        OSError: the disk is full or broken, so no other kind would work.
    """
    try:
        path.symlink_to(target, target_is_directory=True)
    except OSError as error:
        if error.errno in _DISK:
            raise
        return "junction" if _make_junction(path, target) else "copy"
    return "symlink"


if sys.platform == "win32":

    def _is_junction(path: Path) -> bool:
        try:
            return path.lstat().st_reparse_tag == _MOUNT_POINT
        except OSError:
            return False

    def _make_junction(path: Path, target: Path) -> bool:
        import _winapi

        try:
            _winapi.CreateJunction(str(target), str(path))
        except OSError:
            return False
        return True

else:

    def _is_junction(path: Path) -> bool:
        return False

    def _make_junction(path: Path, target: Path) -> bool:
        return False
