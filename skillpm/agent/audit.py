"""The audit log: one line for each decision and each outcome, chained by digests, only ever appended to.

Each entry holds the digest of the entry before it. A head file beside the log holds the number and the digest of the
last entry. So an entry that was changed, moved, added or removed is seen, the last one too. Whoever can write both
files can write a new history; keep the head elsewhere, and ``skillpm audit verify --head`` compares with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from skillpm.errors import DocumentError, IntegrityError
from skillpm.formats.document import Document
from skillpm.formats.strict import strict_json
from skillpm.model.task import canonical_json
from skillpm.storage.files import DiskErrors, read_text, write_atomic
from skillpm.storage.process_lock import locked

FIRST = "0" * 64
_TAIL = 1 << 20  # bytes in which the last entry stands


class AuditEntry(Document):
    """One line.

    Attributes:
        number: from 1.
        when: UTC, to the millisecond.
        who: the user and the host.
        event: a decision about commands, or how one command ended.
        episode: to which both belong.
        adapter: the digest of the adapter that answered, or None.
        argv: the commands of a decision, or the one command of an outcome.
        word: of a decision.
        by: the rule or the earlier answer that decided.
        exit_code: of an outcome; None if the command never began.
        ended: how it ended.
        previous: the digest of the entry before; zeros for the first.
        digest: of all other fields.
    """

    number: int
    when: str
    who: str
    event: Literal["decision", "outcome"]
    episode: str
    skill: str
    tree: str
    model: str
    adapter: str | None
    tool: str
    argv: tuple[tuple[str, ...], ...]
    word: str = ""
    by: str = ""
    exit_code: int | None = None
    ended: str = ""
    previous: str
    digest: str


class AuditLog:
    """The log of one user.

    Args:
        path: of the log; the head lies beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head = path.with_suffix(".head")

    def append(self, **fields: Any) -> None:
        """Add one entry, durably, before this returns.

        Raises:
            StorageError: the disk refused.
            IntegrityError: the head cannot be read.
            BusyError: another process holds the log.
        """
        with locked(self.path.with_suffix(".lock")):
            number, previous = self._end()
            document = {
                "number": number + 1,
                "when": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "who": f"{_user()}@{socket.gethostname()}",
                **fields,
                "previous": previous,
            }
            entry = AuditEntry.model_validate({**document, "digest": ""})
            entry = entry.model_copy(update={"digest": digest_of(entry)})
            with (
                DiskErrors("write", self.path),
                os.fdopen(os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "ab+") as file,
            ):
                file.seek(max(0, file.tell() - 1))
                torn = b"\n" if file.read(1) not in (b"", b"\n") else b""  # a crash cut the last line off
                line = canonical_json(entry.model_dump(mode="json"))
                file.write(torn + line.encode("utf-8", "backslashreplace") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            write_atomic(self.head, f"{entry.number} {entry.digest}\n", mode=0o600)

    def entries(self) -> Iterator[AuditEntry]:
        """Yield the entries in their order, unchecked but for their form.

        Raises:
            IntegrityError: a line is not an entry.
        """
        if not self.path.is_file():
            return
        for line, text in enumerate(_text(self.path).splitlines(), 1):
            try:
                yield AuditEntry.model_validate(strict_json(text))
            except (ValueError, ValidationError):
                problem = f"line {line} of {self.path} is not an entry of the audit log"
                raise IntegrityError(problem, hint="keep the file as evidence elsewhere; a new log begins") from None

    def ends_well(self) -> bool:
        """Is the last entry the one that the head names? Entries before it are not looked at."""
        with contextlib.suppress(IntegrityError, OSError, ValueError, IndexError):
            number, digest = self._end()
            last = self._last_line() if self.path.is_file() else b""
            return AuditEntry.model_validate_json(last).digest == digest if last else number == 0
        return False

    def _last_line(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - _TAIL))
            return b"".join(file.read().splitlines()[-1:])

    def verify(self, head: str | None = None) -> tuple[int, str]:
        """Return the number of entries and the last digest, after the chain has been checked.

        Args:
            head: a digest that was kept elsewhere; it must be in the chain.

        Raises:
            IntegrityError: an entry was changed, moved, added or removed.
        """
        number, previous, seen = 0, FIRST, head in (None, FIRST)
        for entry in self.entries():
            number += 1
            if (entry.number, entry.previous, entry.digest) != (number, previous, digest_of(entry)):
                raise IntegrityError(f"entry {number} of {self.path} was changed, or entries before it are missing")
            previous = entry.digest
            seen = seen or previous == head
        if (number, previous) != self._end():
            raise IntegrityError(f"{self.path} has {number} entries, but its head names entry {self._last()[0]}")
        if not seen:
            raise IntegrityError(f"no entry of {self.path} has the digest {head}")
        return number, previous

    def _end(self) -> tuple[int, str]:
        """Return the number and digest of the last entry: the head's, or the one after it if a crash left it out."""
        number, digest = self._last()
        with contextlib.suppress(OSError, ValueError, IndexError):
            last = AuditEntry.model_validate_json(self._last_line())
            if (last.number, last.previous) == (number + 1, digest) and last.digest == digest_of(last):
                return last.number, last.digest
        return number, digest

    def _last(self) -> tuple[int, str]:
        if not self.head.is_file():
            return 0, FIRST
        number, _, digest = _text(self.head).strip().partition(" ")
        if not number.isdecimal() or len(digest) != len(FIRST):
            raise IntegrityError(f"{self.head} is damaged")
        return int(number), digest


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except DocumentError:
        raise IntegrityError(f"{path} was changed: it is not text") from None


def digest_of(entry: AuditEntry) -> str:
    """Return the digest of an entry's fields, which holds that of the entry before it."""
    fields = entry.model_dump(mode="json", exclude={"digest"})
    return hashlib.sha256(canonical_json(fields).encode("utf-8", "surrogatepass")).hexdigest()


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name  # a variable could say anything
    except KeyError:  # a user without a name
        return str(os.getuid())
