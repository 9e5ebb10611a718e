"""The pages: what they show, that strangers' texts stay texts, and that a keyboard and a screen reader are enough."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.index.folder_registry import FolderRegistry, make_registry
from skillpm_registry.app import create_app
from skillpm_registry.configuration import Configuration
from skillpm_registry.pages import difference
from skillpm_registry.pages.badge import badge
from skillpm_registry.pages.difference import changes
from skillpm_registry.pages.markdown import MAX_TEXT, render
from skillpm_registry.pages.plot import weeks
from tests.registry.conftest import Server
from tests.shop import adapter_files, publish, skill_files, tree

HOSTILE = """
# Hello <img src=x onerror=alert(1)>

<script>alert(1)</script> <svg onload=alert(1)><circle/></svg> <iframe src="https://evil.example"></iframe>
<style>body{display:none}</style> <b onclick="alert(1)">bold</b>

[one](javascript:alert(1)) [two](JaVaScRiPt:alert(1)) [three](data:text/html;base64,PHNjcmlwdD4=)
[four](vbscript:x) [five](//evil.example/x) [six](file:///etc/passwd) [seven](<java\tscript:alert(1)>)
[eight](&#106;avascript:alert(1)) [nine](blob:x) <javascript:alert(1)> [ten](http://[bad)
![picture](https://evil.example/track.svg) ![p](data:image/svg+xml;base64,PHN2Zz4=) ![q](javascript:alert(1))

[guide](references/guide.md) [up](../../../config.json) [gone](references/none.md) [down](#hello-more)

## Hello more

| a | b |
|---|---|
| <script>x</script> | \u202egnp.exe |
"""


def skill(version: str, **changed: str) -> dict[str, str]:
    files = {
        "SKILL.md": f"---\nname: review\ndescription: Reviews <b>a</b> change.\nlicense: '<i>MIT</i>'\n---\n{HOSTILE}",
        "skill.yaml": f"manifest: 1\nversion: {version}\nkeywords: ['<u>x</u>', git]\nhomepage: 'javascript:alert(1)'\n"
        "repository: https://git.example/x\nrequires: {base: '>=1', nowhere: ''}\nauthors: ['<script>A</script>']\n"
        "permissions: {network: true, run: ['<s>git</s>']}\n",
        "README.md": HOSTILE,
        "references/guide.md": f"Guide <script>alert(1)</script>\n{version}\n",
        "picture.bin": "\0\1",
    }
    return files | {path.replace("__", "/").replace("_", "."): text for path, text in changed.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pages") / "shop"
    base = {
        "SKILL.md": "---\nname: base\ndescription: The base.\n---\nText.\n",
        "skill.yaml": "manifest: 1\nversion: 1.0\n",
    }
    publish(root, base, skill("1.0"), skill("1.1"), skill("2.0", new_txt="new\n"), published="2026-11-03T10:00:00Z")
    FolderRegistry(root, "shop").yank("review", "1.1", "<script>broken</script>")
    return root


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Configuration(data=folder, url="https://skills.example"))) as client:
        yield client


PAGES = [
    "/", "/search", "/search?q=revw+it&has=verifier", "/search?q=review&start=20", "/skill/review", "/skill/review@1.1",
    "/skill/base", "/files/review@2.0/references/guide.md", "/files/review@2.0/picture.bin", "/diff/review",
    "/diff/review?from=1.0&to=2.0", "/diff/base", "/events", "/skill/reveiw", "/owner/nobody", "/skill/%3Cscript%3E",
    "/compare?a=review&b=base", "/search?has=bogus",
]  # fmt: skip
ALLOWED = {"http", "https", "mailto", ""}


class Reader(HTMLParser):
    """Reads a page as a browser does, and keeps what may run, load or lead somewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.levels: list[int] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.inputs: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in values.items()]
        self.ids += [values["id"]] if "id" in values else []
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "label" and "for" in values:
            self.labelled.add(values["for"])
        if tag == "input" and values.get("type") == "search":
            self.inputs.append(values.get("id", ""))


def test_the_icon_is_linked_and_has_its_usual_name_too(client: TestClient) -> None:
    linked = [value for _, _, value in Reader(client.get("/").text).attributes if value.startswith("/-/icon-")]
    answer = client.get("/favicon.ico")
    assert [answer.url.path] == linked and answer.headers["content-type"].startswith("image/svg+xml")


@pytest.mark.parametrize("path", PAGES)
def test_no_page_runs_loads_or_leads_to_what_a_stranger_wrote(client: TestClient, path: str) -> None:
    answer = client.get(path)
    page = Reader(answer.text)

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.tags.count("svg") == page.attributes.count(("svg", "class", "weeks"))  # ours
    assert not {"iframe", "style", "object", "embed", "base", "i", "u", "s"} & set(page.tags)
    assert [value for tag, key, value in page.attributes if (tag, key) == ("script", "src")] == [
        value for _, _, value in page.attributes if value.startswith("/-/copy-")
    ]
    assert page.tags.count("script") == 1
    for _, key, value in page.attributes:
        assert not key.startswith("on")
        assert key != "style"
        if key in ("href", "src", "action"):
            assert re.split(r"[:/?#]", value, maxsplit=1)[0].lower() in {*ALLOWED} or ":" not in value.split("/")[0]
            assert not value.startswith("//")
        if key == "src":
            assert value.startswith(("/-/", "/badge/"))
    assert "\u202e" not in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_a_screen_reader_finds_its_way(client: TestClient, path: str) -> None:
    page = Reader(client.get(path).text)

    assert page.levels.count(1) == 1
    for before, after in zip(page.levels, page.levels[1:], strict=False):
        assert after <= before + 1, page.levels
    assert len(page.ids) == len(set(page.ids))
    assert set(page.inputs) <= page.labelled
    assert ("html", "lang", "en") in page.attributes
    assert ("a", "href", "#main") in page.attributes
    pictures = page.tags.count("img")
    assert pictures == sum((tag, key) == ("img", "alt") for tag, key, _ in page.attributes)


def test_every_link_of_the_site_leads_somewhere(client: TestClient) -> None:
    seen, waiting = set[str](), ["/"]
    while waiting:
        path = waiting.pop()
        answer = client.get(path)
        assert answer.status_code == (401 if path == "/account" else 200), path
        if answer.headers["content-type"].startswith("text/html"):
            page = Reader(answer.text)
            for _, key, value in page.attributes:
                if key in ("href", "src") and value.startswith("/") and value.partition("#")[0] not in seen:
                    seen.add(value.partition("#")[0])
                    waiting.append(value.partition("#")[0])
                elif key == "href" and "text-" in value:
                    assert value[1:] in page.ids
    assert {"/skill/review@1.1", "/files/review@2.0/references/guide.md", "/diff/review?from=1.1&to=2.0"} <= seen


def test_a_skills_page_says_what_a_person_decides_by(client: TestClient) -> None:
    text = client.get("/skill/review").text

    for words in (
        "skillpm install review --registry https://skills.example", "npx skills add https://skills.example/skill/review",
        "claude plugin install review@local", "asks for it", "&lt;s&gt;git&lt;/s&gt;", "&lt;script&gt;A&lt;/script&gt;",
        '<a href="/skill/base">base</a>', "nowhere <span", "3 November 2026", "yanked", "javascript:alert(1)</dd>",
    ):  # fmt: skip
        assert words in text, words
    yanked = client.get("/skill/review@1.1").text
    assert "&lt;script&gt;broken&lt;/script&gt;" in yanked
    assert "skillpm install &#39;review==1.1&#39;" in yanked
    assert "required by" in client.get("/skill/base").text.lower()
    assert '<a href="/skill/review">review</a>' in client.get("/skill/base").text


def test_a_comparison_shows_files_and_lines(client: TestClient) -> None:
    text = client.get("/diff/review?from=1.0&to=2.0").text

    assert re.findall(r'class="path">([^<]*)</span> <span class="flag">([a-z]*)', text) == [
        ("new.txt", "added"), ("references/guide.md", "changed"), ("skill.yaml", "changed"),
    ]  # fmt: skip
    assert '<tr class="old"><td class="count">−</td><td><code>1.0</code></td></tr>' in text


def test_two_skills_are_compared_and_what_differs_is_marked(client: TestClient) -> None:
    text = client.get("/compare?a=review&b=base").text

    rows = {title: (bool(mark), one, other) for mark, title, one, other in re.findall(
        r'<tr( class="differs")?><th scope="row">([^<]*)</th><td>([^<]*)</td><td>([^<]*)</td></tr>', text
    )}  # fmt: skip
    assert rows["Version"] == (True, "2.0", "1.0")
    assert rows["State"] == (False, "active", "active")
    assert rows["Programs"] == (True, "&lt;s&gt;git&lt;/s&gt;", "none")
    assert rows["Signed by"] == (False, "nobody", "nobody")


def test_a_comparison_names_what_stops_the_use_of_a_skill(server: Server) -> None:
    for name in ("one", "other"):
        server.owner.publish(skill_files(name))
    server.owner.ask("POST", "releases/quarantine", {"name": "one", "version": "1.0", "reason": "sends files away"})
    server.owner.ask("POST", "skills/status", {"name": "other", "status": "archived", "reason": "old"})
    text = server.client.get("/compare?a=one&b=other").text
    assert '<th scope="row">State</th><td>quarantined</td><td>archived</td>' in text


def test_a_comparison_of_long_or_binary_files_is_short() -> None:
    found = changes(
        tree({"a": "x\n" * 5000, "b": "\0", "c": "1\n"}), tree({"a": "y\n" * 5000, "b": "\0\0", "d": "1\n"})
    )

    assert [(change.path, change.kind, bool(change.note), change.added) for change in found] == [
        ("a", "changed", True, 0), ("b", "changed", True, 0), ("c", "removed", False, 0), ("d", "added", False, 1),
    ]  # fmt: skip


def test_a_comparison_of_many_files_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difference, "_COMPARED", 4)
    uncompared = {"0.png": "\0\n" * 9, "0.txt": "x\n" * (difference.MAX_LINES + 1)}  # they hide no other file
    found = changes(tree({}), tree({**uncompared, **{f"{number}": "a\nb\n" for number in range(1, 5)}}))
    assert [change.added for change in found] == [0, 0, 2, 2, 0, 0]
    assert "long already" in found[-1].note


def test_a_browser_gets_a_page_for_an_address_that_there_is_not(client: TestClient) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = client.get("/nosuch<b>", headers=browser)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no page" in page.text and "<b>" not in page.text
    assert client.get("/nosuch").headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/skill/" + "a" * 10_000, 404),
        ("/skill/..%2f..%2fconfig.json", 404),
        ("/skill/review@9", 404),
        ("/skill/review@", 200),
        ("/files/review@2.0/%2e%2e/%2e%2e/config.json", 404),
        ("/files/review@2.0/%00", 404),
        ("/files/review", 404),
        ("/files/../review@2.0/SKILL.md", 404),
        ("/diff/review?from=9&to=x", 404),
        ("/diff/nothing", 404),
        ("/owner/%2e%2e", 404),
        ("/badge/nothing.svg", 404),
        ("/-/nothing.css", 404),
        ("/-/..%2froutes.py", 404),
        ("/search?start=-5", 200),
        ("/search?has=bogus", 400),
        ("/compare?a=review&b=none", 404),
        ("/compare", 404),
        ("/search?start=x", 422),
        ("/search?q=" + "%25_%22*" * 200, 200),
    ],
)
def test_tricks_with_addresses_end_in_a_plain_answer(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)

    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert len(answer.text) < 20_000


def test_a_page_is_sent_once_and_again_after_a_change(folder: Path, client: TestClient) -> None:
    first = client.get("/skill/base")
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        assert client.get("/skill/base", headers={"If-None-Match": known}).status_code == 304

    FolderRegistry(folder, "shop").yank("base", "1.0", "lost")
    time.sleep(0.25)  # the time for which a look at the folder holds

    again = client.get("/skill/base", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, "lost" in again.text) == (200, True)


def test_a_damaged_archive_is_said_on_its_page(tmp_path: Path) -> None:
    root = publish(tmp_path / "shop", skill("1.0"))
    release = json.loads((root / "skills/review.json").read_text())["releases"][0]
    (root / f"archives/{release['archive'][:2]}/{release['archive'][2:]}.tar.gz").write_bytes(b"no archive")
    with TestClient(create_app(Configuration(data=root))) as client:
        assert "is not gzip" in client.get("/skill/review").text
        assert client.get("/files/review@1.0/SKILL.md").status_code == 404
        assert client.get("/").status_code == 200


def test_the_log_names_who_did_what(server: Server) -> None:
    ben = server.person("ben")
    assert ben.publish(skill_files("demo", "1.0")).status_code == 201
    assert (
        ben.ask("POST", "releases/yank", {"name": "demo", "version": "1.0", "reason": "<b>slow</b>"}).status_code == 200
    )

    text = server.client.get("/events?subject=demo").text

    assert re.findall(r"<b>(ben)</b> ([a-z ]+) <a href=./skill/(demo[@.0-9]*)", text) == [
        ("ben", "yanked", "demo@1.0"), ("ben", "published", "demo@1.0"), ("ben", "took the name", "demo"),
    ]  # fmt: skip
    assert ": &lt;b&gt;slow&lt;/b&gt;" in text
    assert "made the account" in server.client.get("/events").text
    assert "demo" not in server.client.get("/events?subject=other").text


def test_the_log_says_in_words_how_a_report_was_answered(server: Server) -> None:
    server.owner.publish(skill_files("demo", "1.0"))
    number = server.owner.ask("POST", "reports", {"name": "demo", "reason": "x"}).json()["id"]
    for state in ("accepted", "dismissed", "appealed"):
        assert server.owner.ask("POST", f"reports/{number}/answer", {"state": state, "answer": "y"}).status_code == 200

    text = server.client.get("/events?subject=demo").text

    assert re.findall(r"</b> (.*) <a href=./skill/demo.>", text)[:4] == [
        "appealed against the answer to a report of", "dismissed a report of", "accepted a report of", "reported",
    ]  # fmt: skip


def test_a_private_registry_shows_no_page_without_a_token(tmp_path: Path) -> None:
    make_registry(tmp_path / "shop", "shop")
    with TestClient(create_app(Configuration(data=tmp_path / "shop", private=True))) as client:
        for path in ("/", "/search.json", "/skill/base", "/badge/base.svg", "/feed.xml", "/events"):
            answer = client.get(path)
            assert (answer.status_code, "Basic" in answer.headers["www-authenticate"]) == (401, True), path


def test_a_filter_that_does_not_exist_is_said_with_those_that_do(client: TestClient) -> None:
    text = client.get("/search?has=verifier&has=bogus").text

    assert "There is no filter bogus" in text
    assert "no-network" in text


def test_the_badge_names_the_version(client: TestClient) -> None:
    answer = client.get("/badge/review.svg")

    assert answer.headers["content-type"] == "image/svg+xml"
    assert "<title>skill: 2.0</title>" in answer.text
    assert "<script" not in badge("<script>", '"&')


def test_a_feed_names_the_newest_releases(client: TestClient) -> None:
    text = client.get("/feed.xml").text

    assert "<title>review 2.0</title>" in text
    assert "Reviews &lt;b&gt;a&lt;/b&gt; change." in text


@settings(max_examples=40)
@given(text=st.text(max_size=200) | st.text('<>"&[]()!`*_#|-\\ \njavascript:data', max_size=80))
def test_no_markdown_makes_an_element_that_is_not_on_the_list(text: str) -> None:
    page = Reader(render(text, lambda path: None))

    assert not {"script", "img", "svg", "style", "iframe", "form", "input", "h1"} & set(page.tags)
    for _, key, value in page.attributes:
        assert key in ("href", "id", "start", "rel")
        assert key != "href" or re.match(r"(https?:|mailto:|#text-|\Z)", value), value


def test_a_long_text_is_cut_and_says_so() -> None:
    assert "characters are not shown" in render("word " * MAX_TEXT, lambda path: None)
    assert len(render("[" * 4000, lambda path: None)) < 10_000


FIGURES = [
    ("held-out", "base", 0.12, 0.08, 0.18),
    ("held-out", "sft", 0.87, 0.81, 0.92),
    ("hard", "sft", 0.5, 0.4, 0.6),
]


def measured_adapter(skill: Mapping[str, str], *figures: tuple[str, str, float, float, float]) -> dict[str, str]:
    """Return the files of an adapter of a skill that was measured, as ``demo``."""
    files = adapter_files(skill)
    names = ("task_set", "arm", "exact", "low", "high")
    evaluation = [{"skill": "demo", "tasks": 200, **dict(zip(names, item, strict=True))} for item in figures]
    return files | {"adapter.json": json.dumps({**json.loads(files["adapter.json"]), "evaluation": evaluation})}


def test_a_measured_lift_is_shown_with_its_interval_and_found(tmp_path: Path) -> None:
    demo = skill_files("demo")
    root = publish(tmp_path / "shop", demo, skill_files("other"), measured_adapter(demo, *FIGURES))
    with TestClient(create_app(Configuration(data=root))) as client:
        text, other = client.get("/skill/demo").text, client.get("/skill/other").text
        found = client.get("/search.json?has=measured").json()["skills"]

    assert re.search(r'class="better">\+75 points <span class="quiet">\(\+67 to \+81\)', text)
    assert text.count('class="lift"') == 1  # the other task set was not measured without the adapter
    assert 'cx="87.00%"' in text
    assert "Measured lift" not in other
    assert sorted(item["name"] for item in found) == ["demo", "demo-tiny"]


def test_an_adapter_is_offered_to_no_client_that_cannot_take_it(tmp_path: Path) -> None:
    root = publish(tmp_path / "shop", skill_files("demo"), measured_adapter(skill_files("demo"), *FIGURES))
    with TestClient(create_app(Configuration(data=root))) as client:
        text, other = client.get("/skill/demo-tiny").text, client.get("/skill/demo").text
    for client_name in ("npx skills add", "claude plugin install", "clawhub", "apm install", "git clone"):
        assert client_name not in text
        assert client_name in other


def test_an_account_sees_its_roles_and_tokens_and_no_secret(server: Server) -> None:
    assert server.client.get("/account").headers["www-authenticate"].startswith("Basic ")
    ana, ben = server.person("ana"), server.person("ben")
    ana.publish(skill_files("demo"))
    made = ana.ask("POST", "tokens", {"label": "<b>ci</b>", "rights": ["read"], "days": 3}).json()
    text = server.client.get("/account", auth=("anything", ana.token)).text
    assert '<a href="/skill/demo">demo</a> <span class="quiet">owner</span>' in text
    assert "&lt;b&gt;ci&lt;/b&gt;" in text
    assert made["token"] not in text and ana.token not in text
    assert text.count('class="ok">this one<') == 1
    assert "/skill/demo" not in server.client.get("/account", auth=("anything", ben.token)).text


def test_downloads_are_bars_of_weeks() -> None:
    last = dt.date(2026, 11, 28)
    bars = weeks([5, *[0] * 7, *[1] * 7, *[2] * 7], last)
    assert [(bar.count, bar.height, bar.end) for bar in bars] == [
        (0, 0, dt.date(2026, 11, 14)), (7, 50, dt.date(2026, 11, 21)), (14, 100, last),
    ]  # fmt: skip
    assert [bar.height for bar in weeks([0] * 7, last)] == [0]


def test_an_adapter_has_the_limits_of_adapters_and_no_page_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is served as ``.``, whose full stops are left in every text."""
    demo = skill_files("demo")
    publish(tmp_path, demo, adapter_files(demo))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("skillpm.index.pages.MAX_ARCHIVE", 100)  # so that an archive of a skill is too large
    configuration = Configuration(data=Path(), name="team")
    with TestClient(create_app(configuration)) as client:
        adapter, skill_page = client.get("/skill/demo-tiny").text, client.get("/skill/demo").text

    assert "adapter_model.safetensors" in adapter
    assert "Its files cannot be shown." not in adapter
    assert "Its files cannot be shown." in skill_page
    assert str(tmp_path) not in skill_page + adapter
    assert configuration.without_place(f"1.0. {tmp_path}/skills") == "1.0. team/skills"
