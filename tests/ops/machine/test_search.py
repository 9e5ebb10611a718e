"""search ranks what fits, over every index, and says what it could not ask."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.index.folder_registry import FolderRegistry
from skillpm.index.well_known import SCHEMA
from skillpm.model.release import Listing
from skillpm.ops.machine.search import Rank, rank
from tests.conftest import write_tree
from tests.servers import Handler, serving
from tests.shop import MakeProject, publish


def shelf(root: Path, *skills: tuple[str, str, str], yanked: dict[str, str] | None = None) -> Path:
    files = (
        {
            "SKILL.md": f"---\nname: {name}\ndescription: {summary}\n---\nText.\n",
            "skill.yaml": f"manifest: 1\nversion: '{version}'\n",
        }
        for name, version, summary in skills
    )
    return publish(root, *files, yanked=yanked)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return shelf(
        tmp_path / "shop",
        ("log", "1.0", "Reads things."),
        ("log-reader", "1.0", "Reads."),
        ("log-reader", "2.0", "Reads more. Use for pdf files."),
        ("log-reader", "3.0rc1", "Not final."),
        ("blog-writer", "1.0", "Writes."),
        ("catalogue", "1.0", "Keeps books in order."),
        ("shelf", "1.0", "Looks through every log of a host."),
        yanked={"catalogue==1.0": "lost"},
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("log",), ["log", "log-reader", "shelf", "blog-writer", "catalogue"]),
        (("LOG",), ["log", "log-reader", "shelf", "blog-writer", "catalogue"]),
        (("log", "reader"), ["log-reader"]),
        (("reader", "log"), ["log-reader"]),
        (("log reader",), ["log-reader"]),
        (("pdf", "log"), ["log-reader"]),
        (("host",), ["shelf"]),
        (("ost",), []),
        (("log", "nowhere"), []),
        (("100%",), []),
        ((".*",), []),
    ],
)
def test_skills_come_in_the_order_of_how_well_they_fit(
    project: MakeProject, shop: Path, words: tuple[str, ...], expected: list[str]
) -> None:
    hits = project().call("search", *words, "--registry", shop, "--json").ok().document["hits"]
    assert [hit["name"] for hit in hits if hit["source"] != "bundled"] == expected


def test_a_hit_shows_its_newest_final_release_and_its_index(project: MakeProject, shop: Path) -> None:
    place = project()
    (hit,) = place.call("search", "log-reader", "--registry", shop, "--json").ok().document["hits"]
    assert (hit["rank"], hit["version"], hit["source"]) == ("exact", "2.0", "registry:../shop")
    assert "log-reader  2.0" in place.call("search", "log-reader", "--registry", shop).ok().out


def test_a_name_that_several_indexes_have_is_that_of_the_first_as_for_an_install(
    project: MakeProject, shop: Path, tmp_path: Path
) -> None:
    other = shelf(tmp_path / "other", ("log", "9.0", "Shadows."), ("shell-tools", "9.0", "Shadows."))
    hits = project().call("search", "log", "--registry", shop, "--registry", other, "--json").ok().document["hits"]
    assert [(hit["version"], hit["source"]) for hit in hits if hit["name"] == "log"] == [("1.0", "registry:../shop")]
    (hit,) = project().call("search", "shell-tools", "--registry", other, "--json").ok().document["hits"]
    assert hit["version"] == "9.0"


def test_what_is_installed_is_shown_also_where_no_registry_lists_it(project: MakeProject, shop: Path) -> None:
    place = project({"own-log": {"SKILL.md": "---\nname: own-log\ndescription: Mine.\n---\nText.\n"}})
    place.call("install", "log-reader==1.0", "./own-log", "--registry", shop).ok()
    hits = place.call("search", "log", "--registry", shop, "--json").ok().document["hits"]
    installed = {hit["name"]: (hit["version"], hit["installed"]) for hit in hits if hit["installed"]}
    assert installed == {"log-reader": ("2.0", "1.0"), "own-log": ("0", "0")}
    assert (
        "own-log          -        yes        path:own-log" in place.call("search", "log", "--registry", shop).ok().out
    )
    (place.root / "skillpm.lock").write_text("{")
    assert "skillpm.lock could not be searched" in place.call("search", "log", "--registry", shop).ok().err


def test_what_nothing_fits_is_met_with_near_names(project: MakeProject, shop: Path) -> None:
    outcome = project().call("search", "log-readr", "--registry", shop).ok()
    assert outcome.out == ""
    assert "no skill matches; did you mean `log-reader`" in outcome.err
    assert "no skill matches" in project().call("search", "zzzzzzzz").ok().err


def test_an_index_that_fails_is_named_and_the_others_are_searched(
    project: MakeProject, shop: Path, tmp_path: Path
) -> None:
    (shop / "skills/log.json").write_text("{")
    outcome = project().call("search", "langgraph", "--registry", shop, "--registry", tmp_path / "nowhere").ok()
    assert "langgraph-cli" in outcome.out
    assert outcome.err.count("could not be searched") == 2
    project().call("search", "zzzz", "--registry", shop).fails(5, "could not be searched", "no skill matches")


def test_limits_are_said_and_held(project: MakeProject, shop: Path) -> None:
    outcome = project().call("search", "log", "--registry", shop, "--limit", "2").ok()
    assert len(outcome.out.splitlines()) == 3
    assert "`--limit" in outcome.err
    project().call("search", "x" * 300).fails(2, "300 characters")
    project().call("search", " ").fails(2, "the search text is empty")


def test_a_hostile_summary_cannot_speak_to_the_terminal(project: MakeProject, tmp_path: Path) -> None:
    shop = shelf(tmp_path / "shop", ("bad", "1.0", r'"red \e[31m and \u202e back"'))
    outcome = project().call("search", "bad", "--registry", shop).ok()
    assert "\x1b" not in outcome.out
    assert "\u202e" not in outcome.out


@given(st.from_regex(r"[a-z]{1,6}(-[a-z]{1,6})?", fullmatch=True), st.text(max_size=40))
def test_a_skill_is_found_by_its_name_and_by_every_word_of_its_summary(name: str, summary: str) -> None:
    item = Listing(name, "1.0", summary)
    assert rank([name], item) is Rank.EXACT
    assert all((rank([name[:end]], item) or 0) <= Rank.PREFIX for end in range(1, len(name)))
    assert all(
        rank([word.casefold()], item) is not None for word in summary.split() if word.isalnum() and word.isascii()
    )


def test_what_stands_behind_a_server_is_searched_by_its_listing(project: MakeProject, shop: Path) -> None:
    place = project()
    with serving(shop) as site:
        found = place.call("search", "reader", "--registry", site.url, "--json").ok().document
        assert [(hit["name"], hit["version"], hit["source"]) for hit in found["hits"]] == [
            ("log-reader", "2.0", f"registry:{site.url}")
        ]
        assert not found["failures"]
        assert site.asked("/skills/log-reader.json") == 0, "no page is fetched for it"
        place.call("install", "log-raeder", "--registry", site.url).fails(2, "did you mean `log-reader`?")
        asked = len(site.seen)
        again = place.call("search", "reader", "--registry", site.url, "--offline", "--json").ok().document
        assert (again["hits"], len(site.seen)) == (found["hits"], asked), "offline, what was fetched before must do"
        (shop / "listing.json").unlink()
        place.call("cache", "prune").ok()
        outcome = place.call("search", "reader", "--registry", site.url)
        assert f"registry:{site.url} could not be searched: registry {site.url} has no listing.json" in outcome.err


def test_a_listing_says_what_the_pages_say_and_a_damaged_one_is_made_anew(shop: Path) -> None:
    registry = FolderRegistry(shop, "shop")
    expected = [(item.name, item.version, item.summary) for item in registry.listings()]

    def listed() -> list[tuple[str, str, str]]:
        skills = json.loads((shop / "listing.json").read_text())["skills"]
        return [(item["name"], item["version"], item["summary"]) for item in skills]

    assert listed() == expected
    (shop / "listing.json").write_text("{")
    registry.yank("log-reader", "2.0", "bad")
    versions = {name: version for name, version, _ in expected}
    assert {name: version for name, version, _ in listed()} == {**versions, "log-reader": "1.0"}


@pytest.mark.parametrize(
    "listing", ["{}", '{"listing": 2}', '{"listing": 1, "skills": [{"name": "../x", "version": "1"}]}']
)
def test_a_damaged_listing_is_named(project: MakeProject, shop: Path, listing: str) -> None:
    (shop / "listing.json").write_text(listing)
    with serving(shop) as site:
        outcome = project().call("search", "reader", "--registry", site.url)
    assert f"registry {site.url}: listing.json" in outcome.err


def test_a_site_is_searched_by_its_index(project: MakeProject, tmp_path: Path) -> None:
    offer = {"name": "site-reader", "type": "skill-md", "url": "/SKILL.md", "digest": f"sha256:{'0' * 64}"}
    index = {"$schema": SCHEMA, "skills": [{**offer, "description": "Reads pdf files."}]}
    write_tree(tmp_path / "www", {".well-known/agent-skills/index.json": json.dumps(index)})
    with serving(tmp_path / "www") as site:
        place = f"{site.url}/.well-known/agent-skills"
        found = project().call("search", "pdf", "--registry", place, "--json").ok().document
    assert [(hit["name"], hit["source"]) for hit in found["hits"]] == [
        ("site-reader", f"well-known:{place}/index.json")
    ]


def test_a_server_that_searches_itself_is_searched_also_where_its_listing_is_too_large(
    project: MakeProject, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((shop / "config.json").read_text())
    (shop / "config.json").write_text(json.dumps({**config, "search": "find"}))
    monkeypatch.setattr("skillpm.index.http.MAX_LISTING", 100)

    def finds(handler: Handler) -> bool:
        handler.reply(200, (shop / "listing.json").read_bytes())
        return True

    with serving(shop) as site:
        site.answers["/find?q=log&limit=100"] = finds
        for _ in range(2):
            assert "log-reader" in project().call("search", "log", "--registry", site.url).ok().out
        assert site.asked("/listing.json") == 1, "it is tried once a day"


def test_a_listing_that_is_too_large_is_refused_once_a_day_with_what_works(
    project: MakeProject, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillpm.index.http.MAX_LISTING", 100)
    with serving(shop) as site:
        for _ in range(2):
            place = project()
            said = place.call("search", "log", "--registry", site.url).err
            assert "has a listing.json of more than 100 bytes, too large to read; use `skillpm show NAME` or" in said
        assert site.asked("/listing.json") == 1
        place.call("show", "log-reader", "--registry", site.url).ok()


def test_a_registry_renews_a_listing_that_is_larger_than_readers_take(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("directory", "folder_registry"):
        monkeypatch.setattr(f"skillpm.index.{module}.MAX_LISTING", 100, raising=False)
    before, page = (shop / "listing.json").read_bytes(), shop / "skills/log.json"
    page.write_text("{")
    os.utime(page, (1, 1))
    FolderRegistry(shop, "shop").list_again()
    assert (shop / "listing.json").read_bytes() == before, "no page that is older is read again"
