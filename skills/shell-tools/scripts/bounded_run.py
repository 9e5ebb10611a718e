#!/usr/bin/env python3
"""Run one program without a shell, inside a time limit and an output limit, and leave nothing of it behind.

The program gets an empty standard input and a process group of its own. When the time is up, when this script is told
to stop, and when the program itself has ended, the whole group is ended (TERM, then KILL), so a forgotten background
child cannot hold the pipes open. Output past the limit is read and thrown away: a program never blocks on a full pipe.
Linux only.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, BinaryIO

__all__ = ["Result", "Stream", "main", "run"]

EXIT_TIMED_OUT = 124
EXIT_OWN_FAILURE = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_SIGNAL = 128  # plus the number of the signal
CHUNK = 65536  # bytes read at once
DRAIN_SECONDS = 0.5  # for output that is still in the pipes once the group is gone

EPILOG = """\
exit codes:
  0-123   the program's own
  124     the time limit was reached
  125     bounded_run itself failed: wrong usage, or a directory that is not there
  126     the program could not be executed
  127     the program was not found
  128+N   the program was ended by signal N
With --json these are the exit codes too; the report on stdout says the rest.

examples:
  bounded_run.py --timeout 20 -- du -sh /var/log
  bounded_run.py --timeout 5 --max-bytes 4096 --json -- journalctl -n 200 --no-pager
"""


class InterruptedBySignalError(Exception):
    """This script was asked to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass
class Stream:
    """What was kept of one output stream.

    Attributes:
        limit: bytes that are kept.
        sink: where kept bytes go at once; without one they are collected.
        seen: bytes that the program wrote.
    """

    limit: int
    sink: BinaryIO | None = None
    seen: int = 0
    kept: bytearray = field(default_factory=bytearray)

    @property
    def truncated(self) -> bool:
        """Did the program write more than was kept?"""
        return self.seen > self.limit

    def take(self, data: bytes) -> None:
        """Keep what fits and count the rest."""
        room = max(0, self.limit - self.seen)
        self.seen += len(data)
        if self.sink is None:
            self.kept += data[:room]
        elif room:
            self.sink.write(data[:room])
            self.sink.flush()


@dataclass(frozen=True)
class Result:
    """How a bounded run ended: ``returncode`` as ``subprocess`` has it, negative for a signal."""

    returncode: int
    timed_out: bool
    seconds: float

    @property
    def exit_code(self) -> int:
        """The exit code of this script."""
        if self.timed_out:
            return EXIT_TIMED_OUT
        return EXIT_SIGNAL - self.returncode if self.returncode < 0 else self.returncode


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Say whether the program has ended, without reaping it: its group's number cannot be given away before that."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_group(process: subprocess.Popen[bytes], grace: float) -> None:
    """End every process of the group: TERM and a time of grace while the program lives, then KILL."""
    if process.returncode is not None:
        return
    if not _has_ended(process):
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while not _has_ended(process) and time.monotonic() < deadline:
            time.sleep(0.01)
    with suppress(PermissionError):  # the group holds a process of another user, which is not ours to end
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _pump(selector: selectors.BaseSelector, wait: float) -> None:
    """Move what the pipes hold into their streams; a pipe at its end is forgotten."""
    for key, _ in selector.select(wait):
        data = os.read(key.fd, CHUNK)
        if data:
            key.data.take(data)
        else:
            selector.unregister(key.fileobj)


def _watch(process: subprocess.Popen[bytes], selector: selectors.BaseSelector, deadline: float) -> bool:
    """Pump until the program has ended or the time is up; say whether it is up."""
    while not _has_ended(process):
        left = deadline - time.monotonic()
        if left <= 0:
            return True
        if selector.get_map():
            _pump(selector, min(left, 0.05))
        else:
            time.sleep(min(left, 0.01))
    return False


def run(
    argv: list[str], *, timeout: float, out: Stream, err: Stream, directory: Path | None = None, grace: float = 2.0
) -> Result:
    """Run a program to its end, or to its limit.

    Args:
        argv: the program and its arguments.
        timeout: seconds until the group is ended.
        out: takes standard output.
        err: takes standard error.
        directory: where the program starts.
        grace: seconds between TERM and KILL.

    Raises:
        OSError: the program could not be started.
    """
    started = time.monotonic()
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
    )
    try:
        with selectors.DefaultSelector() as selector:
            for source, stream in ((process.stdout, out), (process.stderr, err)):
                assert source is not None
                selector.register(source, selectors.EVENT_READ, stream)
            timed_out = _watch(process, selector, started + timeout)
            _end_group(process, grace)
            last = time.monotonic() + DRAIN_SECONDS
            while selector.get_map() and time.monotonic() < last:
                _pump(selector, 0.05)
    finally:
        _end_group(process, grace)
        for source in (process.stdout, process.stderr):
            if source is not None:
                source.close()
    return Result(process.returncode, timed_out, time.monotonic() - started)


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and 0 < value <= 86400):
        raise argparse.ArgumentTypeError("must be more than 0 and at most 86400 seconds")
    return value


def _bytes(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 1 << 30:
        raise argparse.ArgumentTypeError("must be 0 to 1073741824 bytes")
    return value


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # exits like the original, with another code
        self.print_usage(sys.stderr)
        self.exit(EXIT_OWN_FAILURE, f"bounded_run: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="bounded_run.py",
        usage="%(prog)s [options] -- PROGRAM [ARGUMENT...]",
        description=(__doc__ or "").split("\n", 1)[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="time limit (default: 30)")
    parser.add_argument(
        "--max-bytes", type=_bytes, default=1 << 20, metavar="N", help="kept of each stream (default: 1048576)"
    )
    parser.add_argument("--grace", type=_seconds, default=2.0, metavar="SECONDS", help="from TERM to KILL (default: 2)")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="start the program there")
    parser.add_argument("--json", action="store_true", help="print one JSON report instead of the program's output")
    parser.add_argument("argv", nargs="+", metavar="PROGRAM", help="the program and its arguments")
    return parser


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise InterruptedBySignalError(number)


def _report(argv: list[str], result: Result, out: Stream, err: Stream) -> str:
    streams = {
        name: {
            "text": bytes(stream.kept).decode("utf-8", "replace"),
            "bytes": stream.seen,
            "truncated": stream.truncated,
        }
        for name, stream in (("stdout", out), ("stderr", err))
    }
    document = {
        "argv": argv,
        "exit_code": result.returncode if result.returncode >= 0 else None,
        "signal": -result.returncode if result.returncode < 0 else None,
        "timed_out": result.timed_out,
        "seconds": round(result.seconds, 3),
        **streams,
    }
    return json.dumps(document, ensure_ascii=False)


def _complain(message: str) -> None:
    print(f"bounded_run: {message}", file=sys.stderr)


def _finish(argv: list[str], result: Result, out: Stream, err: Stream, limit: float) -> int:
    if out.sink is None:
        print(_report(argv, result, out, err))
    for name, stream in (("stdout", out), ("stderr", err)):
        if stream.truncated:
            _complain(f"{name} cut at {stream.limit} of {stream.seen} bytes")
    if result.timed_out:
        _complain(f"{argv[0]} was ended after {limit:g} seconds")
    return result.exit_code


def _sink(stream: IO[str], *, collect: bool) -> BinaryIO | None:
    return None if collect else stream.buffer  # type: ignore[attr-defined]  # the standard streams have a buffer


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run the program, and return the exit code."""
    options = _parser().parse_args(arguments)
    out = Stream(options.max_bytes, _sink(sys.stdout, collect=options.json))
    err = Stream(options.max_bytes, _sink(sys.stderr, collect=options.json))
    if options.directory is not None and not options.directory.is_dir():
        _complain(f"{options.directory} is not a directory")
        return EXIT_OWN_FAILURE
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        result = run(
            options.argv, timeout=options.timeout, out=out, err=err, directory=options.directory, grace=options.grace
        )
        return _finish(options.argv, result, out, err, options.timeout)
    except FileNotFoundError:
        _complain(f"{options.argv[0]} was not found")
        return EXIT_NOT_FOUND
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_SIGNAL + signal.SIGPIPE
    except (OSError, ValueError) as error:
        _complain(f"{options.argv[0]} could not be executed: {error}")
        return EXIT_NOT_EXECUTABLE
    except InterruptedBySignalError as stop:
        _complain(f"stopped by signal {stop.number}; {options.argv[0]} was ended")
        return EXIT_SIGNAL + stop.number


if __name__ == "__main__":
    sys.exit(main())
