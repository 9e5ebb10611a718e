"""A registry's documents, read from untrusted bytes and written: config.json, the pages and the listing.

Every kind of registry uses this module, so a folder and a server obey the same rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from packaging.utils import canonicalize_version

from skillpm.errors import ConflictError, DocumentError, IntegrityError, RegistryError, UsageError
from skillpm.formats.light import LightDocument, read_light
from skillpm.formats.strict import strict_json
from skillpm.index.paths import page_path
from skillpm.model.release import Listing, Page, RegistryConfig, RegistryListing, Release
from skillpm.model.requirement import Requirement, parse_version

D = TypeVar("D", bound=LightDocument)
ONLINE_ONCE = "run the command once without `--offline`; `skillpm config` shows what else sets `offline`"  # a hint
KEEPER = "tell the registry's maintainer"  # a hint
CHANGED = f"it was changed on the way or at the source: do not use it, and {KEEPER}"  # a hint
LISTING = "listing.json"  # a registry's summary for searches
MAX_PAGE = 16 << 20  # bytes of one page
MAX_LISTING = 64 << 20  # bytes of the listing, its only limit: 300,000 skills
MAX_ARCHIVE = 24 << 20  # bytes of one archive, more than the limit of an unpacked skill
MAX_ADAPTER = 1 << 30  # bytes of the archive of a trained adapter


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPage(Page):
    """A page as it was read.

    Attributes:
        skipped: the releases that this skillpm cannot read: the version and why.
    """

    skipped: tuple[tuple[str, str], ...] = ()


def other_content(name: str, version: str, place: object, **digests: str) -> ConflictError:
    """Return the error for a version that is published at a place with different content."""
    return ConflictError(
        f"{name} {version} is published in {place} with different content",
        hint="a published release never changes: run `skillpm version bump patch`",
        **digests,
    )


def wrong_length(what: str, size: int, length: int) -> IntegrityError:
    """Return the error for an archive with more or fewer bytes than the ``size`` that its page has."""
    how = f"long: its page says {size} bytes" if length > size else f"short: it has {length} of {size} bytes"
    return IntegrityError(f"{what} is too {how}", hint=CHANGED, expected=size, found=length)


def largest_archive(release: Release) -> int:
    """Return how many bytes the archive of a release may have."""
    return MAX_ADAPTER if release.adapter else MAX_ARCHIVE


def document_text(document: dict[str, Any]) -> str:
    """Return the text of config.json, of a page or of a statement: same content, same bytes."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_config(data: bytes, where: str) -> RegistryConfig:
    """Read config.json. Raises RegistryError if it is damaged or of a newer format."""
    place = f"{where}: config.json"
    _refuse_newer(parsed(data, place), "registry", place)
    return read_document(RegistryConfig, data, place)


def read_listing(data: bytes, where: str) -> tuple[Listing, ...]:
    """Read the listing: each name once, sorted. Raises RegistryError if it is damaged."""
    return tuple(sorted(read_ranking(data, f"{where}: {LISTING}"), key=lambda item: item.name))


def read_ranking(data: bytes, place: str) -> list[Listing]:
    """Read the answer of a search, which has the form of a listing: each name once, in order. Raises RegistryError."""
    _refuse_newer(parsed(data, place), "listing", place)
    shown = {item.name: item for item in read_document(RegistryListing, data, place).skills}
    return list(shown.values())


def read_page(data: bytes, name: str, where: str, *, logged: bool = False) -> ReadPage:
    """Read the page of a name. A release that this skillpm cannot read is skipped: a newer one may have written it.

    If it is ``logged``, the registry has a log, and a release without a proof does not count.

    Raises:
        RegistryError: it is damaged, of another skill, has one version twice, or no release that can be read.
    """
    place = f"{where}: {page_path(name)}"
    root = parsed(data, place)
    items = root.get("releases", []) if isinstance(root, dict) else None
    if not isinstance(items, list):
        return ReadPage(name=read_document(Page, data, place).name)  # raises: it is not a page
    page = _document(ReadPage, {**root, "releases": [], "skipped": []}, place)
    if page.name != name:
        raise RegistryError(f"{place} is the page of `{page.name}`, not of `{name}`", hint=KEEPER)
    releases, skipped = [], []
    for item in items:
        release = _release(item)
        if logged and isinstance(release, Release) and release.proof is None:
            release = "it is not in the registry's log"
        if isinstance(release, Release):
            releases.append(release)
        else:
            version = item.get("version") if isinstance(item, dict) else None
            skipped.append((version[:64] if isinstance(version, str) else "of unknown version", release))
    if skipped and not releases:
        raise RegistryError(f"{place}: {skipped[0][1]}", hint=KEEPER)
    _refuse_twins((release.version for release in releases), place)
    return replace(page, releases=tuple(releases), skipped=tuple(skipped))


def _release(item: Any) -> Release | str:
    """Return a release, or why it cannot be read."""
    try:
        release = read_light(Release, item)
        parse_version(release.version)
        for required, specifier in release.requires.items():
            Requirement.of(required, specifier)
    except DocumentError as error:
        return error.rule
    except UsageError as error:
        return error.message
    return release


def _refuse_twins(versions: Iterable[str], place: str) -> None:
    spellings: dict[str, str] = {}
    for version in versions:
        other = spellings.setdefault(canonicalize_version(version), version)
        if other is not version:
            both = f"{other} twice" if other == version else f"{other} and {version}, which are one version"
            raise RegistryError(f"{place} has {both}", hint=KEEPER)


def _refuse_newer(root: Any, key: str, place: str) -> None:
    number = root.get(key) if isinstance(root, dict) else None
    if type(number) is int and number > 1:
        raise RegistryError(
            f"{place}: format {number} is newer than this skillpm, which reads 1", hint="upgrade skillpm-core"
        )


def read_document(model: type[D], data: bytes, place: str) -> D:
    """Read one JSON document into a model. Raises RegistryError."""
    return _document(model, parsed(data, place), place)


def _document(model: type[D], root: Any, place: str) -> D:
    try:
        return read_light(model, root)
    except DocumentError as error:
        raise RegistryError(f"{place}: {error.rule}", hint=KEEPER) from None


def parsed(data: bytes, place: str) -> Any:
    """Return the JSON of a registry's document. Raises RegistryError."""
    try:
        return strict_json(data.decode("utf-8"))
    except DocumentError as error:
        reason = error.rule
    except ValueError as error:
        html = ": it is HTML, perhaps a proxy's or a login page" if data.lstrip()[:1] == b"<" else ""
        reason = f"not JSON{html or f': {error}'}"
    raise RegistryError(f"{place}: {reason}", hint=KEEPER)
