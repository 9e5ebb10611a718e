"""What the page of one release shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from skillpm.errors import SkillpmError
from skillpm.layout.tree import file_size
from skillpm.model.release import Page, Release
from skillpm.trust.signature import signer
from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.catalogue.facts import Facts, facts_of
from skillpm_registry.downloads import today
from skillpm_registry.pages.markdown import beside, render
from skillpm_registry.pages.plot import Lift, Week, lifts, weeks
from skillpm_registry.services import Services
from skillpm_registry.tables import GateReport


@dataclass(frozen=True, slots=True)
class File:
    """A file of a release."""

    path: str
    size: int
    executable: bool


@dataclass(frozen=True, slots=True)
class Content:
    """What the files of a release are on its page.

    Attributes:
        body: the HTML of SKILL.md.
        readme: the HTML of the README; empty without one.
    """

    facts: Facts
    body: str = ""
    readme: str = ""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that a release has or has not, and what it is good for."""

    has: bool
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """The page of one release.

    Attributes:
        name: of the skill.
        release: the one that is shown.
        latest: is it the one by which the skill is listed?
        releases: all, newest first.
        content: of the release's files; their ``problem`` alone if they cannot be read.
        key: the fingerprint of the verified signer; empty without one.
        key_problem: why a signature is not valid; empty otherwise.
        dependants: of the skill, with the ranges that they require.
        known: the required skills that the registry has.
        status: of the skill.
        weeks: of downloads, the newest last.
        gate: what this registry's own self-test of the verifier says; None without one.
        lifts: what trained adapters make of it, or it makes of its skills if it is one.
        downloads: of each release, by the digest of its archive.
    """

    name: str
    release: Release
    latest: bool
    releases: tuple[Release, ...]
    content: Content
    key: str
    key_problem: str
    dependants: dict[str, str]
    known: frozenset[str]
    downloads: dict[str, int]
    status: str = "active"
    weeks: tuple[Week, ...] = ()
    lifts: tuple[Lift, ...] = ()
    gate: GateReport | None = None

    @property
    def state(self) -> str:
        """What stops or discourages its use: the gravest of quarantine, yank and the status of the skill."""
        return "quarantined" if self.release.quarantined else "yanked" if self.release.yanked else self.status

    @property
    def owner(self) -> str:
        """The owner's name, or empty."""
        return self.name.rpartition("/")[0]

    @property
    def place(self) -> str:
        """The name and the version, as addresses have them."""
        return f"{self.name}@{self.release.version}"

    def web(self, address: str) -> str:
        """Return an address of a manifest if a browser may follow it, or empty."""
        try:
            return address if urlsplit(address).scheme in ("http", "https") else ""
        except ValueError:
            return ""

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What the release has, of what helps to trust and to measure it."""
        facts = self.content.facts
        return (
            Mark(facts.verified, "Verifier", "its answers can be judged"),
            Mark(bool(facts.suites), "Suite", "a model can be measured on it"),
            Mark(bool(facts.seeds and facts.rules), "Training data", "seeds and rules make tasks"),
            Mark(bool(facts.cases), "Cases", "its verifier states what it promises"),
            Mark(bool(self.key), "Signature", "its author signed these bytes"),
            Mark(bool(facts.license), "Licence", "it says what you may do"),
            Mark(bool(facts.repository), "Source", "it names its repository"),
            Mark(bool(facts.readme), "README", "it explains itself to people"),
        )


def shown(services: Services, page: Page, release: Release) -> Shown:
    """Return the page of a release. One whose archive is lost or damaged is shown with that problem."""
    catalogue, key, key_problem = services.catalogue, "", ""
    try:
        public = signer(page.name, release)
        key = public.short if public else ""
    except SkillpmError as error:
        key_problem = error.message
    try:
        content = _content(catalogue, page.name, release.version, release.archive, release.tree, release.adapter)
    except SkillpmError as error:
        content = Content(Facts(problem=services.configuration.without_place(error.message)))
    archives, dependants = [item.archive for item in page.releases], catalogue.dependants(page.name)
    measured = catalogue.measured([page.name, *dependants])
    return Shown(
        page.name, release, release is page.shown(), tuple(page.newest_first()), content, key, key_problem,
        dependants, frozenset(name for name in release.requires if catalogue.row(name)),
        services.downloads.totals(archives), page.status,
        tuple(weeks(services.downloads.days(archives), today())), tuple(lifts(page.name, measured)),
        _gate_report(services, release.tree),
    )  # fmt: skip


def _gate_report(services: Services, tree: str) -> GateReport | None:
    with services.database.reading() as session:
        return session.get(GateReport, tree)


@lru_cache(maxsize=128)
def _content(catalogue: Catalogue, name: str, version: str, archive: str, digest: str, adapter: str | None) -> Content:
    """Return what never changes of a release, which takes the longest to make."""
    tree = catalogue.tree(name, Release(version=version, archive=archive, tree=digest, size=0, adapter=adapter))
    facts, paths = facts_of(tree), tree.paths()
    link = beside(paths, f"/files/{name}@{version}")
    files = tuple(File(path, file_size(tree, path), tree.executable(path)) for path in paths)
    return Content(facts, render(facts.body, link), render(facts.readme, link, "readme-text"), files)
