"""Limits of a worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one worker and of one call. All are checked by the host or by the kernel, never by skill code."""

    start_seconds: float = 30.0  # from spawning to the description
    batch_seconds: float = 15.0  # one message, and on top of it
    call_seconds: float = 60.0  # one call with all its messages and restarts, and on top of it
    item_seconds: float = 0.02  # for each item of a message or a call, unless skill.yaml states more
    batch_items: int = 4096  # items of one message
    batch_characters: int = 1 << 24  # completion text of one message; one longer completion travels alone
    frame_bytes: int = 1 << 26  # largest frame that either side reads
    restarts: int = 24  # of one worker during one call
    memo_items: int = 1 << 14  # judgements that are remembered, at some 2 kB
    memory_bytes: int = 4 << 30  # address space of the worker
    file_bytes: int = 64 << 20  # largest file it may write into its scratch folder
    open_files: int = 256
    processes: int = 1024  # processes and threads, more than its user has already
    output_bytes: int = 1 << 14  # what is kept of its stdout and stderr
    moving_clock: bool = False  # do its clock and its process numbers move? For the selftest
