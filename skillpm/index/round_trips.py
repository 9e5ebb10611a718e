"""Several round trips at once, in threads; whoever presses Ctrl-C does not wait for a server that says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

__all__ = ["round_trips"]


@contextmanager
def round_trips(at_once: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool whose threads have ended when the context ends; what has not begun after an error never does.

    After KeyboardInterrupt threads that still wait are left behind, for the process to end with them.
    """
    pool = ThreadPoolExecutor(at_once)
    try:
        yield pool
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()
