"""The witnesses of a log (C2SP tlog-witness and tlog-cosignature).

A witness signs a head of a log only if it continues the head that it signed before. So a log that shows different
people different heads lacks the signatures of its witnesses on one of them. ``log/witnesses`` names those of a
registry, one a line: the key in the form of signed notes, a space, and the URL below which the witness is. A line
``needed N`` says how many of them must sign before a release is visible; without it, all of them.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from skillpm.errors import RegistryError
from skillpm.index.credentials import Credentials
from skillpm.index.note import Checkpoint, WitnessKey, missing, signature_lines, without_witnesses
from skillpm.index.tile_log import TileLog
from skillpm.index.transport import Patience, Transport

FILE, NEXT = "log/witnesses", "log/next"
_CONFLICT = 409  # the witness has signed another size, which the answer has


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Who is asked, by key, and how many must sign."""

    urls: dict[WitnessKey, str]
    needed: int

    @classmethod
    def read(cls, text: str) -> Witnesses:
        """Read ``log/witnesses``. Raises RegistryError."""
        urls, needed = dict[WitnessKey, str](), None
        for number, line in enumerate(text.splitlines(), 1):
            first, _, second = line.strip().partition(" ")
            try:
                if first == "needed":
                    needed = int(second)
                elif first and not first.startswith("#"):
                    urls[WitnessKey.parse(first)] = second.strip().rstrip("/")
            except ValueError as error:
                raise RegistryError(
                    f"{FILE}:{number} is not a witness: {error}", hint="write its key, a space and its URL"
                ) from None
        if needed is not None and not 0 < needed <= len(urls):
            raise RegistryError(f"{FILE} needs {needed} of {len(urls)} witnesses", hint=f"correct {FILE}")
        return cls(urls, len(urls) if needed is None else needed)

    def enough(self, note: str) -> bool:
        """Did so many of them sign a head that a release may be visible? Raises ValueError if it is not a note."""
        return len(self.urls) - len(missing(note, self.urls)) >= self.needed

    def cosigned(self, note: str, seen: int, read: Callable[[str], bytes | None]) -> tuple[str, str]:
        """Ask those that did not sign a head; return it with their signatures, and why the others did not sign.

        Args:
            note: the head, which the log signed. It must be on the disk, because a witness refuses another one later.
            seen: the size of the head that the witnesses probably know.
            read: returns the bytes of a tile's path, or None.
        """
        transport = Transport(
            Credentials({"NETRC": os.devnull}), patience=Patience(connect=5, idle=10, whole=10, tries=2, asked=2)
        )
        size, plain = Checkpoint.parse(note).size, without_witnesses(note)
        keys = [key for key in self.urls if not key.signed(note)]

        def answer(key: WitnessKey) -> tuple[str, str]:
            try:
                return _asked(transport, key, self.urls[key], plain, TileLog(size, read), min(seen, size)), ""
            except (RegistryError, ValueError) as error:
                return "", f"{key.name}: {error}"

        with ThreadPoolExecutor(max(1, len(keys))) as pool:  # one that is away is waited for once, not after the others
            answers = list(pool.map(answer, keys))
        return note + "".join(lines for lines, _ in answers), "; ".join(failure for _, failure in answers if failure)


def _asked(transport: Transport, key: WitnessKey, url: str, note: str, log: TileLog, seen: int) -> str:
    """Return the line with the signature of one witness. Raises RegistryError, ValueError."""
    for _ in range(2):  # the answer to the first request may be what it has seen
        proof = log.consistency(seen) if 0 < seen < log.size else []
        hashes = "".join(f"{base64.b64encode(item).decode()}\n" for item in proof)
        body = f"old {seen}\n{hashes}\n{note}".encode()
        answer = transport.send("POST", f"{url}/add-checkpoint", body, kind="text/plain")
        if answer.status != _CONFLICT:
            break
        seen = int(answer.body[:20])
        if seen > log.size:
            raise ValueError(f"it has signed a log of {seen} entries, and this one has {log.size}")
    if answer.status != 200:
        raise ValueError(f"it answers {answer.status}: {answer.body[:200].decode(errors='replace').strip()}")
    text = answer.body.decode()
    for line in signature_lines(text, key.name).splitlines(keepends=True):
        if key.signed(f"{note}{line}"):
            return line
    raise ValueError("its answer does not have its signature")
