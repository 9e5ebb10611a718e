"""The process of a command: its streams, and the exit code of whatever is raised.

Only this module prints errors. What it does not know is a defect of skillpm: it prints the traceback and exits 70.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from skillpm.cli.interrupt import interrupted, is_ours

if TYPE_CHECKING:
    from threading import Thread

_CHARACTERS = "replaced"  # the name of our encoding error handler
_ASCII = str.maketrans(
    {"…": "...", "–": "-", "−": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "±": "+/-", "─": "-", "│": "|"}
)


def open_streams() -> None:
    """Make the three standard streams usable: a closed one becomes the null device, and every character has a form.

    A closed descriptor has to be taken first, or the next file that is opened would become stdout.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123  kept until the end
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if os.environ.get("TERM") == "dumb":
        os.environ["NO_COLOR"] = "1"  # such a terminal shows the codes of colours as text
    codecs.register_error(_CHARACTERS, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_CHARACTERS)


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what a terminal shows where its encoding lacks a character: ASCII, the raw byte of a path, an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    with contextlib.suppress(UnicodeEncodeError):  # only bytes of a path are left over by surrogateescape
        return (text.encode("ascii", "surrogateescape") if min(text) >= "\udc80" else _ascii(text)), error.end
    return _ascii(text), error.end


def _ascii(text: str) -> str:
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


@contextlib.contextmanager
def if_interrupted(sentence: str) -> Iterator[None]:
    """Have Ctrl-C say what stands and how to go on, unless that was said closer to the work."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(*(error.args or (sentence,))) from None


def exit_code(error: BaseException, words: list[str], *, as_json: bool = False) -> int:
    """Report what ended a command with these words, and return the exit code of the process.

    ``as_json`` prints the error on stdout too, as a document.
    """
    import click

    from skillpm.errors import SkillpmError

    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        from skillpm.cli.paths import shortened

        cause = error if error.__cause__ is None else error.__cause__  # click makes an Abort of it
        _print(_safe(shortened(": ".join(["interrupted", *map(str, cause.args)]))))
        return interrupted()
    if isinstance(error, (SystemExit, BrokenPipeError)) and _reader_is_gone():  # click exits 1 for it
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # a group without a command prints its help
        _print(error.format_message())
        return error.exit_code
    known = _known(error)
    if known is None or (known is error and "--debug" in words):
        import traceback

        lines = "".join(traceback.format_exception(error)).splitlines()
        _print("\n".join(f"  {_safe(line)}" for line in lines))  # indented: no line of it looks like ours
    if known is None:
        known = SkillpmError(f"skillpm has a defect: {type(error).__name__}", hint="report it with the traceback above")
    _report(known, as_json=as_json)
    code: int = known.exit_code
    return code


def _known(error: BaseException) -> Any:
    """Return the error as one of our families, or None for a defect."""
    import errno

    import click

    from skillpm.errors import SkillpmError, StorageError, UsageError

    if isinstance(error, SkillpmError):
        return error
    if isinstance(error, click.ClickException):
        from skillpm.cli.misuse import misuse

        return misuse(error)
    if not isinstance(error, OSError):
        return None
    try:
        os.getcwd()  # noqa: PTH109  one call of the system
    except OSError:
        return StorageError("the working folder is gone", hint="go to a folder that exists, and try again")
    if error.errno == errno.ENAMETOOLONG:
        return UsageError(f"a path is too long: {error.filename}"[:200], hint="shorten the name")
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or error.errno in (errno.EFBIG, errno.EROFS, errno.EIO, errno.EAGAIN):
        place = error.filename or "the output"
        return StorageError(f"cannot write {place}: {error.strerror}", hint="free some space" if full else None)
    return None


def _report(error: Any, *, as_json: bool) -> None:
    import click

    from skillpm.cli.paths import shortened
    from skillpm.errors import ResolutionError

    if error.hint and "skillpm-core" in error.hint:
        from skillpm.settings.distribution import as_installed

        error.hint = as_installed(error.hint)
    error.message, error.hint = shortened(error.message), error.hint and shortened(error.hint)
    with contextlib.suppress(OSError):
        if as_json:
            import json

            click.echo(json.dumps(error.document(), ensure_ascii=True, default=str))
    color = False if os.environ.get("NO_COLOR") else None
    head, hint = click.style("error: ", fg="red", bold=True), click.style("hint: ", fg="cyan", bold=True)
    _print(head + _safe(error.message, keep="\n" if isinstance(error, ResolutionError) else ""), color=color)
    if error.hint:
        _print(hint + _safe(error.hint), color=color)


def _safe(text: str, keep: str = "") -> str:
    from skillpm.formats.printable import printable

    return printable(text, keep)


def _print(text: str, *, color: bool | None = None) -> None:
    """Print on stderr. A stderr that cannot be written has no reader, and does not change the exit code."""
    import click

    with contextlib.suppress(OSError):
        click.echo(text, err=True, color=color)


def _reader_is_gone() -> bool:
    """Return whether stdout or stderr is a pipe that nobody reads (`| head`)."""
    poll = select.poll()
    for number in (1, 2):
        poll.register(number, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _are_abandoned(threads: list[Thread]) -> bool:
    from skillpm.index.transport import are_round_trips

    return is_ours() and are_round_trips(threads)


def leave(code: int) -> NoReturn:
    """Exit without a word about a stream that cannot be written.

    After an interrupt no thread is waited for, and else none that waits for a server and was left behind.
    """
    import threading

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    main = threading.main_thread()
    left = [thread for thread in threading.enumerate() if thread is not main and not thread.daemon]
    if left and (code == interrupted() or _are_abandoned(left)):
        os._exit(code)
    sys.exit(code)
