"""The private pipe: frames of four bytes of length, big-endian, and as many bytes of JSON."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

__all__ = ["HEADER", "FrameError", "encode", "pack", "read_frame"]

HEADER = struct.Struct(">I")


class FrameError(Exception):
    """The other side sent what is no frame."""


def encode(document: Any) -> bytes:
    """Return a document as JSON bytes; lone surrogates travel as escapes."""
    try:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def pack(payload: bytes) -> bytes:
    """Return the frame of a payload. Raises FrameError where it is too long for its header."""
    if len(payload) > 0xFFFF_FFFF:
        raise FrameError("larger than 4 GiB")
    return HEADER.pack(len(payload)) + payload


def read_frame(file: BinaryIO, limit: int) -> bytes | None:
    """Read one frame, waiting for it; None at the end of the pipe.

    Raises:
        FrameError: cut short, or larger than ``limit`` bytes.
    """
    header = file.read(HEADER.size)
    if not header:
        return None
    if len(header) < HEADER.size:
        raise FrameError("the header was cut short")
    (size,) = HEADER.unpack(header)
    if size > limit:
        raise FrameError(f"a frame of {size} bytes, more than {limit}")
    payload = file.read(size)
    if len(payload) < size:
        raise FrameError("the frame was cut short")
    return payload
