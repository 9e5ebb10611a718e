"""The text of bytes, or where they are not UTF-8."""

from __future__ import annotations

import sys

from skillpm.errors import DocumentError


def utf8_text(data: bytes, path: str = "", *, most: int = sys.maxsize, before: int = 0) -> str:
    """Return the text of a file, or of a part of one that stands ``before`` lines below its beginning.

    Raises:
        DocumentError: there are more than ``most`` bytes, or they are not UTF-8; it names the line.
    """
    if len(data) > most:
        raise DocumentError(f"larger than {most} bytes", path=path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = before + data.count(b"\n", 0, error.start) + 1
        problem = f"not UTF-8: byte 0x{data[error.start]:02x}"
        raise DocumentError(problem, path=path, line=line, hint="save it as UTF-8") from None
