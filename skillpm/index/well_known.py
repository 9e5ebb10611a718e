"""``/.well-known/agent-skills/index.json``: the skills of a web site, each as a SKILL.md or as an archive.

Source: Agent Skills Discovery, version 0.2.0. The index has a digest for each artefact, but no versions and no
dependencies. Those are read from the skill itself, which is fetched on request. Unknown fields are ignored, as the
document demands.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skillpm.errors import IntegrityError, RegistryError
from skillpm.formats.document import model_errors
from skillpm.formats.gathered import Bytes
from skillpm.formats.strict import strict_json
from skillpm.index.http import cached_get
from skillpm.index.page_cache import PageCache
from skillpm.index.pages import MAX_ARCHIVE
from skillpm.index.path import TreeIndex
from skillpm.index.transport import Transport, followed
from skillpm.layout.tree import MappingTree, Tree
from skillpm.model.release import Listing, Page, Release, SkillNameText
from skillpm.model.source import Source, SourceKind
from skillpm.storage.archive import read_any_archive

INDEX = ".well-known/agent-skills/index.json"
SCHEMA = "https://schemas.agentskills.io/discovery/0.2.0/schema.json"


class _Entry(BaseModel):
    """One skill of the index."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: SkillNameText
    type: Literal["skill-md", "archive"]
    url: Annotated[str, Field(max_length=2048)]
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    description: str = ""


class _Index(BaseModel):
    """The whole index."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_: Annotated[Literal["https://schemas.agentskills.io/discovery/0.2.0/schema.json"], Field(alias="$schema")]
    skills: Annotated[tuple[_Entry, ...], Field(max_length=10_000)]


class WellKnownIndex:
    """The skills of a web site, whose index.json has this URL."""

    made_here = True
    remote = True

    def __init__(self, url: str, transport: Transport, cache: PageCache) -> None:
        self.name = str(Source(SourceKind.SITE, url))
        self._url = url
        self._transport = transport
        self._cache = cache
        self._opening = threading.Lock()
        self._opened: dict[str, TreeIndex] = {}

    @cached_property
    def _entries(self) -> dict[str, _Entry]:
        data = cached_get(self._url, self._transport, self._cache)
        if data is None:
            raise RegistryError(f"{self._url} is not there", hint="check the address")
        root = None
        try:
            root = strict_json(data.decode("utf-8"))
            index = _Index.model_validate(root)
        except ValidationError as error:
            raise _damaged(self._url, model_errors(error, root)[0].rule) from None
        except ValueError as error:
            raise _damaged(self._url, f"not JSON: {error}") from None
        entries = {entry.name: entry for entry in index.skills}
        if len(entries) != len(index.skills):
            raise _damaged(self._url, "a name is in it twice")
        return entries

    def page(self, name: str) -> Page | None:
        """Return the one release of a name, or None. Raises RegistryError, IntegrityError."""
        artefact = self._opened_at(name)
        if artefact is None:
            return None
        if artefact.skill != name:
            raise RegistryError(f"{self._url}: `{name}` is a skill with the name `{artefact.skill}`", hint=_KEEPER)
        return artefact.page(name)

    def names(self) -> list[str]:
        """Return the names in the index. Raises RegistryError."""
        return sorted(self._entries)

    def listings(self) -> Iterator[Listing]:
        """Yield the skills of the index, without versions. Raises RegistryError."""
        for name in self.names():
            yield Listing(name, "", self._entries[name].description[:1024])

    def archive(self, name: str, release: Release) -> Bytes:
        """Return the archive. Raises RegistryError; LockOutOfDateError if the site has another release now."""
        return self._offered(name).archive(name, release)

    def files(self, name: str, release: Release) -> Tree:
        """Return the skill. Raises RegistryError; LockOutOfDateError if the site has another release now."""
        return self._offered(name).files(name, release)

    def _offered(self, name: str) -> TreeIndex:
        artefact = self._opened_at(name)
        if artefact is None:
            raise RegistryError(f"{self._url} no longer offers `{name}`", hint="run `skillpm uninstall` for it")
        return artefact

    def _opened_at(self, name: str) -> TreeIndex | None:
        with self._opening:
            entry = self._entries.get(name)
            if entry is not None and name not in self._opened:
                self._opened[name] = TreeIndex(self.name, partial(self._load, entry), name, remote=True)
            return self._opened.get(name)

    def _load(self, entry: _Entry) -> Tree:
        """Download one skill. Raises RegistryError; IntegrityError if its digest is not the one in the index."""
        url = followed(self._url, entry.url)
        data = self._transport.download(url, limit=MAX_ARCHIVE)
        digest = hashlib.sha256(data).hexdigest()
        if f"sha256:{digest}" != entry.digest:
            raise IntegrityError(
                f"{url} has sha256 {digest[:16]}…, but {self._url} has {entry.digest[7:23]}…",
                hint="it was changed on the way or at the source: do not use it, and tell the site's owner",
                expected=entry.digest[7:],
                found=digest,
            )
        return MappingTree({"SKILL.md": bytes(data)}) if entry.type == "skill-md" else read_any_archive(data)


def _damaged(url: str, reason: str) -> RegistryError:
    return RegistryError(f"{url}: {reason}", hint=f"it must follow {SCHEMA}")


_KEEPER = "tell the site's owner"
