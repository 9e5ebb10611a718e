"""A registry's documents, read from untrusted bytes: config.json, the pages and the listing.

Every kind of registry uses this module, so a folder and a server obey the same rules.
"""

from __future__ import annotations

from typing import TypeVar

from skillpm.errors import DocumentError, RegistryError, UsageError
from skillpm.formats.light import LightDocument, read_light
from skillpm.formats.strict import strict_json
from skillpm.model.release import Listing, Page, RegistryConfig, RegistryListing
from skillpm.model.requirement import Requirement, parse_version

D = TypeVar("D", bound=LightDocument)
LISTING = "listing.json"  # a registry's summary for searches
MAX_PAGE = 16 << 20  # bytes of one page, or of the listing
MAX_ARCHIVE = 24 << 20  # bytes of one archive, more than the limit of an unpacked skill


def page_path(name: str) -> str:
    """Return the path of a name's page in a registry."""
    return f"skills/{name}.json"


def archive_path(digest: str) -> str:
    """Return the path of an archive in a registry."""
    return f"archives/{digest[:2]}/{digest[2:]}.tar.gz"


def read_config(data: bytes, where: str) -> RegistryConfig:
    """Read config.json. Raises RegistryError if it is damaged or of a newer format."""
    return read_document(RegistryConfig, data, f"{where}: config.json")


def read_listing(data: bytes, where: str) -> tuple[Listing, ...]:
    """Read the listing: each name once, sorted. Raises RegistryError if it is damaged."""
    shown = {item.name: item for item in read_document(RegistryListing, data, f"{where}: {LISTING}").skills}
    return tuple(Listing(name, item.version, item.summary) for name, item in sorted(shown.items()))


def read_page(data: bytes, name: str, where: str) -> Page:
    """Read the page of a name.

    Args:
        data: the page's bytes.
        name: of the page's skill.
        where: the registry's name in messages.

    Raises:
        RegistryError: it is damaged, of another skill, or has an invalid version or requirement.
    """
    place = f"{where}: {page_path(name)}"
    page = read_document(Page, data, place)
    if page.name != name:
        raise RegistryError(f"{place} is the page of `{page.name}`, not of `{name}`", hint=_KEEPER)
    for release in page.releases:
        try:
            parse_version(release.version)
            for required, specifier in release.requires.items():
                Requirement.of(required, specifier)
        except UsageError as error:
            raise RegistryError(f"{place}: {error.message}", hint=_KEEPER) from None
    return page


def read_document(model: type[D], data: bytes, place: str) -> D:
    """Read one JSON document into a model. Raises RegistryError."""
    try:
        return read_light(model, strict_json(data.decode("utf-8")))
    except DocumentError as error:
        reason = error.rule
    except ValueError as error:
        html = ": it is HTML, perhaps a proxy's or a login page" if data.lstrip()[:1] == b"<" else ""
        reason = f"not JSON{html or f': {error}'}"
    raise RegistryError(f"{place}: {reason}", hint=_KEEPER)


_KEEPER = "tell the registry's maintainer"
