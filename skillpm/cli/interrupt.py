"""What Ctrl-C does: end the process while modules are imported, raise KeyboardInterrupt while a command works.

SIGTERM, and SIGHUP of a terminal that closes, do as Ctrl-C does while a command works, so that it ends its workers.

This is the first module of the process, so it imports almost nothing.
"""

import _signal  # type: ignore[import-not-found]  # `signal` imports so much that Ctrl-C can come before it
import _thread
import os
import sys
import time

INTERRUPTED = 130  # exit code
_SIGNALLED = 128  # shells add it to the number of the signal that ended a program
_SOON = 0.01  # seconds
_ENDS = (_signal.SIGTERM, _signal.SIGHUP)
_entered: set[int] = set()  # our process, where it runs our command
_received: list[int] = []


def quit_on_interrupt() -> None:
    """Let Ctrl-C end the process at once and quietly, unless it is ignored or handled already."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _quit)
    for number in _ENDS:
        if _signal.getsignal(number) is _interrupt:
            _signal.signal(number, _signal.SIG_DFL)
    _entered.add(os.getpid())


def is_ours() -> bool:
    """Was this process started as our command, not by a program that calls us?"""
    return os.getpid() in _entered


def raise_on_interrupt() -> None:
    """Let all three raise KeyboardInterrupt: from now on there may be work to undo, and workers to end."""
    if _signal.getsignal(_signal.SIGINT) is _quit:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    for number in _ENDS if is_ours() else ():
        if _signal.getsignal(number) == _signal.SIG_DFL:
            _signal.signal(number, _interrupt)
    if is_ours():
        sys.unraisablehook = _raise_again


def interrupted() -> int:
    """Return the exit code after an interrupt: the signal's."""
    return _SIGNALLED + _received[-1] if _received else INTERRUPTED


def _quit(*_: object) -> None:
    os._exit(INTERRUPTED)


def _interrupt(number: int, _: object) -> None:
    _signal.signal(number, _signal.SIG_DFL)  # the next one ends the process at once
    _received.append(number)
    raise KeyboardInterrupt


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """Send a signal again that raised inside a finaliser: Python only prints that, and goes on."""
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
        return
    number = _received[-1] if _received else _signal.SIGINT
    if _received:
        _signal.signal(number, _interrupt)
    _thread.start_new_thread(_send_soon, (_thread.get_ident(), number))


def _send_soon(thread: int, number: int) -> None:
    time.sleep(_SOON)  # by then the finaliser has ended
    _signal.pthread_kill(thread, number)
