"""A registry behind a server that people publish to: the ``Registry`` port over its API, and accounts and tokens.

The address of the API is ``publish`` in config.json, relative to the registry's own. Every request may be sent twice:
a publication that is complete already is a success. Source of the errors' form: RFC 9457.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from functools import cached_property
from typing import Any
from urllib.parse import quote, urljoin

from skillpm.errors import (
    CheckError,
    ConflictError,
    IntegrityError,
    LayoutError,
    PolicyError,
    RegistryError,
    UsageError,
)
from skillpm.formats.gathered import Bytes
from skillpm.formats.light import json_form
from skillpm.index.credentials import host_of
from skillpm.index.http import HttpIndex
from skillpm.index.page_cache import PageCache
from skillpm.index.pages import KEEPER, parsed
from skillpm.index.transport import Answer, Transport
from skillpm.model.release import Release, Status

_ERRORS: dict[int, type[RegistryError | PolicyError | UsageError | IntegrityError]] = {
    401: PolicyError,
    403: PolicyError,
    409: ConflictError,
}
_KINDS = {
    "check": CheckError,
    "layout": LayoutError,
    "integrity": IntegrityError,
    "usage": UsageError,
    "document": UsageError,
    "invalid": UsageError,
}

_GATE_SECONDS = 3600.0  # that a server may judge
_PAUSE = 2.0  # seconds between two questions


class HttpRegistry(HttpIndex):
    """A registry with a URL, whose server takes publications.

    ``like`` is the published name that a new name may look like, and ``allow`` has the codes of the findings that the
    publisher accepts.

    Attributes:
        waits: does what was published last wait for another owner's approval?
    """

    def __init__(
        self, url: str, transport: Transport, cache: PageCache, *, like: str = "", allow: Collection[str] = ()
    ) -> None:
        super().__init__(url, transport, cache)
        self.waits = False
        self._like = like
        self._allow = sorted(allow)

    @property
    def place(self) -> str:
        """The URL."""
        return self.url

    def demand_login(self) -> None:
        """Raise PolicyError if there is no token for the registry's host, before any work is done for nothing."""
        if not self._transport.has_secret(self.url):
            raise PolicyError(f"publishing to {self.url} needs a token", hint=f"run `skillpm login {self.url}`")

    def publish(self, name: str, release: Release, archive: Bytes) -> bool:
        """Add a release; return False if the version is published with the same content.

        Raises:
            ConflictError: the version is published with different content, or the name looks like another.
            PolicyError: the token is missing, or may not publish this.
            RegistryError: the registry refuses the release, or failed.
        """
        wish = {"name": name, "release": json_form(release), "like": self._like, "allow": self._allow}
        upload = self.ask("POST", "uploads", wish)
        self.waits = upload.get("state") == "waiting"
        if self.waits or upload.get("state") == "live":
            return False
        place = f"uploads/{quote(str(upload.get('id')), safe='')}"
        self._answered(self._transport.send("PUT", f"{self._api}/{place}/archive", archive, kind="application/gzip"))
        end = time.monotonic() + _GATE_SECONDS
        answer = self._transport.send("POST", f"{self._api}/{place}/publish")
        while (state := self._answered(answer).get("state")) == "staged":  # until the server's gate has judged it
            if time.monotonic() > end:
                raise RegistryError(f"the gate of {self.url} has not judged {name} yet", hint="publish it again later")
            time.sleep(_PAUSE)
            answer = self._transport.send("POST", f"{self._api}/{place}/publish")
        self.waits = state == "waiting"
        return answer.status == 201

    def yank(self, name: str, version: str, reason: str | None) -> bool:
        """Yank a release, or unyank it, as the port says. Raises PolicyError if the token may not do this."""
        return self._changed("releases/yank", name=name, version=version, reason=reason)

    def quarantine(self, name: str, version: str, reason: str | None) -> bool:
        """Put a release into quarantine, or take it out; like ``yank``."""
        return self._changed("releases/quarantine", name=name, version=version, reason=reason)

    def set_status(self, name: str, status: Status, reason: str) -> bool:
        """Set the status of a skill; like ``yank``."""
        return self._changed("skills/status", name=name, status=status, reason=reason)

    def _changed(self, path: str, **document: str | None) -> bool:
        return self.ask("POST", path, document).get("changed") is True

    def ask(self, method: str, path: str, document: Any = None) -> Any:
        """Return the answer of the API to a request: an object, a list, or an empty object.

        ``path`` is below its address.

        Raises:
            PolicyError, ConflictError, LayoutError, UsageError, RegistryError: the server refuses, with its reason.
        """
        body = b"" if document is None else json.dumps(document).encode()
        return self._answered(self._transport.send(method, f"{self._api}/{path}", body))

    @cached_property
    def _api(self) -> str:
        """The address of the API. Raises RegistryError if the registry has none."""
        place = self.config.publish
        if place is None:
            raise RegistryError(
                f"{self.url} is a registry without a server", hint="publish to the folder that the server serves"
            )
        address = urljoin(f"{self.url}/", place)
        if host_of(address) != host_of(self.url):
            raise RegistryError(f"{self.url} sends publications to another host, {host_of(address)[:200]}", hint=KEEPER)
        return address.rstrip("/")

    def _answered(self, answer: Answer) -> Any:
        """Return the document of a success, or raise what a problem document says."""
        if answer.status in (200, 201, 202):
            return parsed(answer.body, f"registry {self.url}")
        if answer.status == 204:
            return {}
        problem: Any = None
        if "problem+json" in answer.headers.get("content-type", ""):
            problem = parsed(answer.body, f"registry {self.url}")
        if not isinstance(problem, dict):
            raise RegistryError(f"{self.url}: the server answers {answer.status}", hint=KEEPER)
        kind = str(problem.get("type", "")).removeprefix("urn:skillpm:problem:")
        family = _KINDS.get(kind) or _ERRORS.get(answer.status, RegistryError)
        hint = f"run `skillpm login {self.url}`" if answer.status == 401 else str(problem.get("hint") or "") or None
        details = problem.get("details")
        raise family(
            str(problem.get("detail", f"the server answers {answer.status}"))[:2000],
            hint=hint,
            type=kind,
            **{
                str(key): value
                for key, value in (details if isinstance(details, dict) else {}).items()
                if key != "type"
            },
        )
