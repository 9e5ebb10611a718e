"""A witness of logs (C2SP tlog-witness): it signs a head that continues the one it signed before."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from skillpm.index.note import Checkpoint, WitnessKey, open_checkpoint
from skillpm.index.tile_log import is_consistent
from skillpm.model.key import PrivateKey, PublicKey
from skillpm.storage.keys import Keys
from tests.servers import Replying, served


def public_keys(keys: Keys) -> list[PublicKey]:
    """Return the keys of a person who trusts no identities."""
    return [item.public for item in keys.all() if isinstance(item.public, PublicKey)]


def cosignature(note: str, name: str, key: PrivateKey, time: int) -> str:
    """Return the line that a witness adds to a note, with the time (Unix) when it saw it (C2SP tlog-cosignature)."""
    text = note.rpartition("\n\n")[0] + "\n"
    number = hashlib.sha256(name.encode() + b"\n\x04" + key.public.raw).digest()[:4]
    signature = key.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
    return f"— {name} {base64.b64encode(number + time.to_bytes(8) + signature).decode()}\n"


@dataclass
class Witness:
    """One witness.

    Attributes:
        name: in its signatures.
        logs: the keys of the logs that it knows.
        away: does it answer 503?
        asked: is set when it is asked.
        goes_on: it answers when this is set.
        more: lines that it adds to its answers.
        url: where it is.
    """

    name: str
    logs: list[PublicKey]
    away: bool = False
    asked: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)
    more: str = ""
    url: str = ""
    private: PrivateKey = field(default_factory=lambda: PrivateKey(os.urandom(32)))
    heads: dict[str, Checkpoint] = field(default_factory=dict)

    @property
    def key(self) -> WitnessKey:
        return WitnessKey(self.name, self.private.public)

    def answer(self, body: str) -> tuple[int, str]:
        """Return the status and the text of the answer to ``add-checkpoint``."""
        top, _, note = body.partition("\n\n")
        old, *lines = top.split("\n")
        origin = Checkpoint.parse(note).origin
        try:
            head = open_checkpoint(note, origin, self.logs)
        except ValueError:
            return 403, "nobody signed it whom I know\n"
        seen = self.heads.get(origin, Checkpoint(origin, 0, b""))
        if int(old.removeprefix("old ")) != seen.size or (seen.size == head.size and seen.root != head.root):
            return 409, f"{seen.size}\n"
        proof = [base64.b64decode(line) for line in lines]
        if seen.size and not is_consistent((seen.size, seen.root), (head.size, head.root), proof):
            return 422, "this is another history\n"
        self.heads[origin] = head
        return 200, self.more + cosignature(note, self.name, self.private, int(time.time()))


@contextmanager
def listening(witness: Witness) -> Iterator[Witness]:
    """Let a witness answer until the end of the block."""

    class Handler(Replying):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            witness.asked.set()
            assert witness.goes_on.wait(20)
            status, text = (500, "away\n") if witness.away else witness.answer(body)
            self.reply(status, text.encode())

    witness.goes_on.set()
    with served(Handler) as witness.url:
        yield witness
