"""Programs that a worker may start: what the kernel opens for them, and which libraries they may read.

A program is opened together with its loader, and so both may be executed. A loader also starts what is given to it as
an argument, if it can read that. So a worker with programs reads the folders of libraries only, and not the trees
around them, where other programs lie.
"""

from __future__ import annotations

import struct
import sysconfig
from collections.abc import Iterable
from pathlib import Path

_TREES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_BESIDE = ("/lib64", "/usr/lib64", "/usr/local/lib", "/usr/lib/locale")  # where there is a folder for the architecture
_HEADER = struct.Struct("<16s HHIQQQ IHHH")  # ELF of 64 bits: identification ... size and number of program headers
_SEGMENT = struct.Struct("<IIQQQQ")  # kind, flags, offset, two addresses, size in the file
_MAGIC, _INTERPRETER = b"\x7fELF\x02\x01", 3
_MOST_BYTES = 4096


def libraries(*, programs: bool) -> list[Path]:
    """Return the folders of the system's libraries; without programs' own folders where programs may be started."""
    architecture = sysconfig.get_config_var("MULTIARCH")
    own = [Path(tree, architecture) for tree in ("/lib", "/usr/lib")] if architecture else []
    if programs and any(folder.is_dir() for folder in own):
        return [*own, *(Path(tree) for tree in _BESIDE)]
    return [Path(tree) for tree in _TREES]


def loaders(programs: Iterable[Path]) -> list[Path]:
    """Return the loaders that the kernel opens to start these programs; static ones and scripts have none."""
    interpreters = (_loader(program) for program in programs)
    return list(dict.fromkeys(loader for loader in interpreters if loader is not None))


def _loader(program: Path) -> Path | None:
    with program.open("rb") as file:
        start = file.read(_MOST_BYTES)
        if not start.startswith(_MAGIC) or len(start) < _HEADER.size:
            return None
        *_, table, _, _, _, size, number = _HEADER.unpack_from(start)
        for index in range(number):
            file.seek(table + index * size)
            kind, _, offset, _, _, length = _SEGMENT.unpack(file.read(_SEGMENT.size))
            if kind == _INTERPRETER:
                file.seek(offset)
                return Path(file.read(min(length, _MOST_BYTES)).rstrip(b"\0").decode())
    return None
