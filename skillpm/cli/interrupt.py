"""What Ctrl-C does: end the process while modules are imported, raise KeyboardInterrupt while a command works.

This is the first module of the process, so it imports almost nothing.
"""

import _signal  # type: ignore[import-not-found]  # `signal` imports so much that Ctrl-C can come before it
import os

INTERRUPTED = 130  # exit code


def quit_on_interrupt() -> None:
    """Let Ctrl-C end the process at once and quietly, unless it is ignored or handled already."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _quit)


def raise_on_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again: from now on there may be work to undo."""
    if _signal.getsignal(_signal.SIGINT) is _quit:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def _quit(*_: object) -> None:
    os._exit(INTERRUPTED)
