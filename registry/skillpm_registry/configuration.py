"""What an operator decides, once for each server process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from limits import parse

from skillpm.errors import UsageError
from skillpm.index.pages import MAX_ADAPTER, MAX_ARCHIVE

STATE = ".server"  # the folder of what is never served: database, uploads, keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The decisions of an operator.

    Attributes:
        data: the registry's folder, whose static files any server can serve.
        url: the public address without a slash at the end. Absolute links come from it, never from a request.
        name: of the registry.
        database: an SQLAlchemy URL; empty for SQLite in the state folder.
        private: does reading need a token?
        rate: how often one client may write, in the words of the library ``limits``; empty for no limit.
        seconds: that the body of a request may take; an archive has more time for each MiB.
        largest_adapter: bytes of the archive of a trained adapter.
        gate: seconds that the server tries to fool the verifier of a publication; None for not at all.
        meaning: are skills found by what they mean, too?
        local_issuers: may an OIDC issuer be on this machine or in a private network?
    """

    data: Path
    url: str = "http://127.0.0.1:8700"
    name: str = "registry"
    database: str = ""
    private: bool = False
    rate: str = "600/minute"
    seconds: float = 60.0
    gate: int | None = None
    largest_adapter: int = MAX_ADAPTER
    meaning: bool = False
    local_issuers: bool = False

    def __post_init__(self) -> None:
        """Make the folder absolute: it is looked for in texts, to hide it. Raises UsageError for a bad URL or rate."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise UsageError(f"`{self.url}` is not the address of a server", hint="such as https://skills.example.org")
        try:
            if self.rate and not parse(self.rate).amount:
                raise ValueError(self.rate)  # nobody could write
        except ValueError:
            raise UsageError(f"`{self.rate}` is not a rate", hint="such as 600/minute") from None
        object.__setattr__(self, "data", self.data.resolve())

    def without_place(self, text: str) -> str:
        """Return a message with the registry's name instead of its folder, which is nobody's business."""
        return text.replace(str(self.data), self.name)

    @property
    def largest(self) -> int:
        """How many bytes an archive may have, whatever is in it."""
        return max(MAX_ARCHIVE, self.largest_adapter)

    @property
    def state(self) -> Path:
        """The folder of what is never served."""
        return self.data / STATE

    @property
    def uploads(self) -> Path:
        """The folder of archives that are not published yet."""
        return self.state / "uploads"
