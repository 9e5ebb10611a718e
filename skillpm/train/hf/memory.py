"""Memory that a training step frees stays with the process for the next one.

glibc gives the top of its heap back to the kernel whenever more than a few megabytes are free. A training step on the
CPU frees hundreds of megabytes and needs them again a moment later; the kernel then clears every page anew, which takes
a sixth of the time.
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT = 2**31 - 1  # bytes that may lie free at the top of the heap
_MAPPED = 32 << 20  # bytes; the largest threshold that glibc takes


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to keep freed memory; return whether it was told, which only glibc can be."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _MAPPED)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEPT))
