"""Completions on disk: a model is asked the same thing once, also by a later command.

What a policy completed is kept by the digest of everything that decides it: the policy's name and settings, the prompt,
and the bound of its length. A command that was ended goes on where it was, and its next run gives the same bytes.
"""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from skillpm.errors import StorageError
from skillpm.formats.lazy_sequence import LazySequence
from skillpm.formats.printable import well_formed
from skillpm.model.ports import Completion, Policy
from skillpm.model.task import Message, canonical_json
from skillpm.storage.files import DiskErrors, storage_error
from skillpm.storage.temporary_database import disk_error

_TABLE = """CREATE TABLE IF NOT EXISTS answer
(key TEXT PRIMARY KEY, text TEXT NOT NULL, prompt_tokens INTEGER, completion_tokens INTEGER, finish_reason TEXT,
confidence REAL)"""
_WAIT = 30.0  # seconds for another process that writes


class CachedPolicy:
    """A policy that remembers.

    Args:
        policy: is asked what was never asked before.
        file: the database; made where it is missing.
        also: what decides the answers beside the policy's own settings.
        read: take what is known; where not, all is asked anew and kept.
    """

    def __init__(
        self, policy: Policy, file: Path, *, also: Mapping[str, Any] = MappingProxyType({}), read: bool = True
    ) -> None:
        self._policy = policy
        self._file = file
        self._also = dict(also)
        self._read = read
        self.name = policy.name
        self.settings = dict(getattr(policy, "settings", {}))

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        """Yield ``(index of the prompt, completion)``, first the known ones, then the others as they finish.

        Raises:
            StorageError: the database cannot be read or written.
            SkillpmError: the policy failed.
        """
        missing = array("I")
        with closing(self._opened()) as database:
            for place, prompt in enumerate(prompts):
                known = self._find(database, self._key(prompt, max_new_tokens)) if self._read else None
                if known is None:
                    missing.append(place)
                else:
                    yield place, known
            rest = LazySequence(missing, prompts.__getitem__)
            asked = self._policy.complete(rest, max_new_tokens=max_new_tokens)
            for number, completion in asked if missing else ():
                whole = replace(completion, text=well_formed(completion.text))  # SQLite takes no lone surrogates
                self._keep(database, self._key(rest[number], max_new_tokens), whole)
                yield missing[number], whole

    def _key(self, prompt: Sequence[Message], max_new_tokens: int) -> str:
        messages = [message.model_dump(mode="json") for message in prompt]
        also = [self._also] if self._also else []
        text = canonical_json([self.name, self.settings, messages, max_new_tokens, *also])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def _opened(self) -> sqlite3.Connection:
        with self._errors_told():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self._file, timeout=_WAIT, isolation_level=None)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")  # a lost power supply may cost the last answers, no more
            database.execute(_TABLE)
        return database

    def _find(self, database: sqlite3.Connection, key: str) -> Completion | None:
        query = "SELECT text, prompt_tokens, completion_tokens, finish_reason, confidence FROM answer WHERE key = ?"
        with self._errors_told():
            row = database.execute(query, (key,)).fetchone()
        return None if row is None else replace(Completion(*row[:4]), remembered=True, confidence=row[4])

    def _keep(self, database: sqlite3.Connection, key: str, completion: Completion) -> None:
        tokens = (completion.prompt_tokens, completion.completion_tokens)
        values = (key, completion.text, *tokens, completion.finish_reason, completion.confidence)
        with self._errors_told():
            database.execute("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?)", values)

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            with DiskErrors("write", self._file):
                yield
        except sqlite3.Error as error:
            if refused := disk_error(error):
                raise storage_error("write", self._file, refused) from None
            raise StorageError(f"{self._file}: {error}", hint="remove this file; skillpm writes it again") from None
