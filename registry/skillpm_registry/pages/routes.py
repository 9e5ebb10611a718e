"""The addresses of the pages, and what each of them shows."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from skillpm.errors import SkillpmError
from skillpm.model.name import is_name, near_names
from skillpm.model.release import Page, Release
from skillpm_registry.access import Number
from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.catalogue.search import FILTERS, search
from skillpm_registry.catalogue.search import Query as Wanted
from skillpm_registry.pages import account, approvals, log
from skillpm_registry.pages.badge import badge
from skillpm_registry.pages.comparison import lines
from skillpm_registry.pages.difference import changes
from skillpm_registry.pages.file_view import file_values
from skillpm_registry.pages.rendering import MissingError, Pages, static_answer, static_path
from skillpm_registry.pages.skill import shown
from skillpm_registry.protocols.git import plugin_name
from skillpm_registry.protocols.marketplace import marketplace_name
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services

Made = tuple[str, dict[str, Any]]
_LABELS = {
    "verifier": "a verifier", "suite": "a suite", "signed": "a signature", "adapter": "a trained adapter",
    "measured": "a measured lift",
    "no-network": "no use of the network", "no-programs": "no programs to start",
}  # fmt: skip
_HITS = 20  # skills of one page of results
_MOST = 900  # results behind which nobody looks
_RECENT = 12
_VERSIONS, _FILES = 40, 200  # of one page
_SVG = "default-src 'none'; style-src 'unsafe-inline'"


def open_pages(services: Services) -> Pages:
    """Return what renders the pages of a registry."""
    url, registry = services.configuration.url, services.registry.config.name
    return Pages(services.catalogue, {"url": url, "registry": registry, "marketplace": marketplace_name(registry)})


def router(services: Services, pages: Pages) -> APIRouter:
    """Return the routes of the pages."""
    catalogue, routes = services.catalogue, reading_router("pages", shown=False)

    @routes.get("/")
    def home(request: Request) -> Response:
        """Show the newest releases, and how to use the registry."""
        return pages.answer(
            request, lambda: ("home.html.j2", {"rows": catalogue.recent(_RECENT), "count": catalogue.count()})
        )

    @routes.get("/search")
    def results(
        request: Request, q: str = "", has: Annotated[list[str] | None, Query()] = None, owner: str = "", start: int = 0
    ) -> Response:
        """Show the skills that match."""
        first = max(0, min(start, _MOST) // _HITS * _HITS)
        wanted = Wanted(q, tuple(dict.fromkeys(has or ())), owner[:64], _HITS, first)
        return pages.answer(request, lambda: _results(catalogue, wanted))

    @routes.get("/owner/{owner}")
    def of_owner(request: Request, owner: str) -> Response:
        """Show the skills of an owner."""

        def make() -> Made:
            rows = catalogue.of_owner(owner) if is_name(owner) else []
            if not rows:
                raise MissingError(f"No skill here has a name that begins with {owner[:80]}/")
            return "owner.html.j2", {"owner": owner, "rows": rows}

        return pages.answer(request, make)

    @routes.get("/events")
    def done(request: Request, subject: str = "", before: Number | None = None) -> Response:
        """Show what was done, newest first."""
        return pages.answer(request, lambda: _events(services, subject, before), keep=False)

    _add_skills(routes, services, pages)
    _add_pictures(routes, services, pages)
    routes.routes += [*account.router(services, pages).routes, *approvals.router(services, pages).routes]
    return routes


def _add_skills(routes: APIRouter, services: Services, pages: Pages) -> None:
    @routes.get("/skill/{place:path}")
    def skill(request: Request, place: str) -> Response:
        """Show one release of a skill, by default the one by which it is listed."""
        return pages.answer(request, lambda: _skill(services, place))

    @routes.get("/files/{place:path}")
    def file(request: Request, place: str) -> Response:
        """Show a file of a release."""
        return pages.answer(request, lambda: _file(services, place))

    @routes.get("/diff/{name:path}")
    def difference(
        request: Request, name: str, old: Annotated[str, Query(alias="from")] = "", to: str = ""
    ) -> Response:
        """Show what changed between two releases."""
        return pages.answer(request, lambda: _difference(services, name, old, to))

    @routes.get("/compare")
    def comparison(request: Request, a: str = "", b: str = "") -> Response:
        """Show two skills side by side."""
        return pages.answer(request, lambda: _compared(services, a.strip(), b.strip()))


def _add_pictures(routes: APIRouter, services: Services, pages: Pages) -> None:
    catalogue, kept = services.catalogue, "private" if services.configuration.private else "public"

    @routes.get("/badge/{name:path}.svg")
    def picture(name: str) -> Response:
        """Return a badge with the version of a skill."""
        row = catalogue.row(name) if is_name(name) else None
        text = badge("skill", row.version, good=row.usable) if row else badge("skill", "not found", good=False)
        headers = {"Cache-Control": f"{kept}, max-age=300", "Content-Security-Policy": _SVG}
        return Response(text, 200 if row else 404, headers, "image/svg+xml")

    @routes.get("/feed.xml")
    def feed() -> Response:
        """Return the newest releases as an Atom feed."""
        body = pages.render("feed.xml.j2", rows=catalogue.recent(50))
        return Response(body, headers={"Cache-Control": f"{kept}, max-age=300"}, media_type="application/atom+xml")

    @routes.get("/-/{name}")
    def static(name: str) -> Response:
        """Return the style sheet, the script or the icon."""
        return static_answer(name)

    @routes.get("/favicon.ico")
    def favicon() -> Response:
        """Send programs that do not read the page to its icon."""
        return RedirectResponse(static_path("icon"), 308)


def _results(catalogue: Catalogue, wanted: Wanted) -> Made:
    for name in wanted.filters:
        if name not in FILTERS:
            raise MissingError(f"There is no filter {name[:80]}", f"There are {', '.join(FILTERS)}.", status=400)
    found = search(catalogue, wanted)

    def at(start: int) -> str:
        items = [("q", wanted.text), *(("has", name) for name in wanted.filters), ("owner", wanted.owner)]
        return "/search?" + urlencode([(key, value) for key, value in items if value] + [("start", str(start))])

    following = wanted.start + _HITS
    return "search.html.j2", {
        "text": wanted.text[:200], "found": found, "filters": _LABELS, "chosen": wanted.filters, "owner": wanted.owner,
        "before": at(wanted.start - _HITS) if wanted.start else None,
        "after": at(following) if following < min(found.total, _MOST) else None,
    }  # fmt: skip


def _found(services: Services, name: str) -> Page:
    """Return the page of a name, which has a release. Raises MissingError."""
    try:
        page = services.catalogue.page(name)
    except SkillpmError as error:
        raise MissingError(f"The page of {name} is damaged", error.message, status=500) from None
    if page is None or not page.releases:
        near = near_names(name[:80], (row.name for row in services.catalogue.recent(2000)))
        raise MissingError(f"There is no skill {name[:80]}", near=near)
    return page


def _chosen(page: Page, version: str) -> Release:
    """Return a release, by default the one by which the skill is listed. Raises MissingError."""
    release = page.release(version) if version else page.shown()
    if release is None:
        raise MissingError(f"{page.name} has no version {version[:80]}")
    return release


def _skill(services: Services, place: str) -> Made:
    name, _, version = place.partition("@")
    page = _found(services, name)
    return "skill.html.j2", {
        "skill": shown(services, page, _chosen(page, version)), "plugin": plugin_name(name),
        "shown_versions": _VERSIONS, "shown_files": _FILES, "state": page.status, "reason": page.reason,
    }  # fmt: skip


def _compared(services: Services, *names: str) -> Made:
    pages = [_found(services, name) for name in names]
    left, right = (shown(services, page, _chosen(page, "")) for page in pages)
    return "compare.html.j2", {"left": left, "right": right, "lines": lines(left, right)}


def _events(services: Services, subject: str, before: int | None) -> Made:
    name = subject if is_name(subject) else ""
    shown_lines = log.lines(services, name, before)
    older = {"subject": name} if name else {}
    if len(shown_lines) == log.SHOWN:
        older["before"] = str(shown_lines[-1].number)
    return "events.html.j2", {
        "subject": name, "events": shown_lines, "older": urlencode(older) if "before" in older else "",
    }  # fmt: skip


def _file(services: Services, place: str) -> Made:
    name, _, rest = place.partition("@")
    version, _, path = rest.partition("/")
    release = _chosen(_found(services, name), version)
    try:
        tree = services.catalogue.tree(name, release)
        values = file_values(tree, path, name=name, version=version, back=f"/skill/{name}@{version}")
    except SkillpmError:
        raise MissingError(f"{name} {version} has no file {path[:80]}") from None
    return "file.html.j2", values


def _difference(services: Services, name: str, old: str, new: str) -> Made:
    page = _found(services, name)
    versions = [release.version for release in page.newest_first()]
    new = new or versions[0]
    old = old or versions[min(versions.index(new) + 1, len(versions) - 1) if new in versions else 0]
    before, after = _chosen(page, old), _chosen(page, new)
    try:
        found = changes(services.catalogue.tree(name, before), services.catalogue.tree(name, after))
    except SkillpmError as error:
        raise MissingError("They cannot be compared", error.message, status=500) from None
    return "diff.html.j2", {"name": name, "versions": versions, "old": old, "new": new, "changes": found}
