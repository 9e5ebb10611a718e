"""Ask an MCP server for its tools: it is started as confined as a program is for its help, and ends right after."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from skillpm.errors import UsageError
from skillpm.formats.strict import strict_json
from skillpm.programs.ask import Asker, kill

_VERSION = "2025-06-18"  # of the protocol
_BYTES = 16 << 20  # of all that it prints
_PAGES = 100
SECONDS = 30.0  # for all of it
_HINT = "start it yourself, write what it prints for `tools/list` to a file, and name that: docs/from-cli.md shows how"


@dataclass(slots=True)
class _Talk:
    """Requests to a server over its standard input, and its answers: one JSON object a line."""

    send: IO[bytes]
    receive: IO[bytes]
    number: int = 0
    read: int = 0

    def answer(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a request. Raises _ServerError if there is none."""
        self.number += 1
        self.say({"id": self.number, "method": method, "params": parameters})
        while line := self.receive.readline(_BYTES - self.read):
            self.read += len(line)
            try:
                message = strict_json(line.decode())
            except ValueError as error:
                if b'"jsonrpc"' in line:
                    raise _ServerError(f"answered `{method}` with what is not JSON: {error}") from None
                continue  # words of its own
            if isinstance(message, dict) and message.get("id") == self.number and "method" not in message:
                return _result(message, method)
        told = f"printed no answer to `{method}`" if self.read < _BYTES else f"printed more than {_BYTES >> 20} MiB"
        raise _ServerError(told)

    def say(self, message: dict[str, Any]) -> None:
        """Send a message. A server that has ended says so by its answer, which is missing."""
        with contextlib.suppress(BrokenPipeError):
            self.send.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            self.send.flush()


class _ServerError(Exception):
    """What a server says instead of a result."""


def _result(message: dict[str, Any], method: str) -> dict[str, Any]:
    result = message.get("result")
    if not isinstance(result, dict):
        raise _ServerError(f"answered `{method}` with {json.dumps(message.get('error'))[:200]}")
    return result


def tools_of_server(words: Sequence[str]) -> list[Any]:
    """Return the tools that an MCP server lists. It runs without network, home folder and your variables.

    It may read the folder that the command stands in and those of files that the command names, but no home folder.

    Raises:
        UsageError: there is no such program, or it gives no list of tools.
    """
    asker = Asker(words[0], SECONDS)
    command = [str(asker.path), *(str(Path(word).absolute()) if _is_file(word) else word for word in words[1:])]
    with tempfile.TemporaryDirectory(prefix="skillpm-server-") as folder, tempfile.TemporaryFile() as error:
        process = asker.start(command, Path(folder).resolve(), _shown(command), error)
        late = threading.Event()

        def end() -> None:
            late.set()
            kill(process)

        ending = threading.Timer(SECONDS, end)
        ending.start()
        try:
            assert process.stdin is not None and process.stdout is not None
            return _listed(_Talk(process.stdin, process.stdout))
        except _ServerError as failure:
            reason = f"did not answer within {SECONDS:.0f} seconds" if late.is_set() else str(failure)
            raise UsageError(f"`{' '.join(words)[:120]}` {reason}{_last_words(error)}", hint=_HINT) from None
        finally:
            ending.cancel()
            kill(process)
            process.communicate()


def _listed(talk: _Talk) -> list[Any]:
    client = {"name": "skillpm", "version": "1"}
    talk.answer("initialize", {"protocolVersion": _VERSION, "capabilities": {}, "clientInfo": client})
    talk.say({"method": "notifications/initialized"})
    tools: list[Any] = []
    cursor: dict[str, Any] = {}
    for _ in range(_PAGES):
        page = talk.answer("tools/list", cursor)
        listed = page.get("tools")
        if not isinstance(listed, list):
            raise _ServerError("answered `tools/list` without `tools`")
        tools += listed
        if page.get("nextCursor") in (None, "", cursor.get("cursor")):  # some give one page for ever
            break
        cursor = {"cursor": page["nextCursor"]}
    return tools


def _shown(command: Sequence[str]) -> tuple[Path, ...]:
    """Return the folders that the server may read, beside its interpreter's: never a home folder, nor one above it."""
    home = Path.home().resolve()
    files = [Path(word) for word in command[1:] if _is_file(word)]
    folders = [
        folder for folder in (Path.cwd(), *(file.parent for file in files)) if folder not in (home, *home.parents)
    ]
    return (*folders, *files)


def _is_file(word: str) -> bool:
    return os.path.isfile(word)  # noqa: PTH113  a word may be too long for a Path


def _last_words(error: IO[bytes]) -> str:
    """Return the last line that it printed beside its answers, if any."""
    error.seek(0, 2)
    error.seek(max(0, error.tell() - 4096))
    lines = error.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"; it says `{last[:200]}`" if last else ""
