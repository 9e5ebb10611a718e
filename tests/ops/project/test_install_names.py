"""One grammar of files: what is allowed travels from every source, and what is refused is named everywhere at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.storage.store import folder_digest
from tests.conftest import Project, write_tree
from tests.servers import commit_all
from tests.shop import MakeProject, skill_files

TRAVEL = (
    "references/模板.md", "app/(group)/[id]/page.tsx", "notes (1).md", "it's.md", "types/@x/index.d.ts", "a&b.md",
    "Übersicht.md", "-rf.md", "~root", "SKILL~1.md", "#1.md", "100%.md", "a=b,c;d.md", "$x.md", "!important.md",
    "{a}.md", "^caret`.md", "привет мир.md", "日本語/ガイド.md", "👍️.md", ".env.example", " leading.md", "한국어.md",
)  # fmt: skip
REFUSED = {
    "a\x1b[31m.md": "SK403",
    "b\\c.md": "SK403",
    "zero\u200bwidth.md": "SK403",
    "right\u202eleft.md": "SK403",
    "cafe\u0301.md": "SK404",
    "aux.md": "SK404",
    "dot.": "SK404",
    "space ": "SK404",
    "what?.md": "SK404",
    "x" * 101: "SK404",
    "文" * 34 + ".md": "SK404",
    "1/2/3/4/5/6/7/8/9/10/11.md": "SK404",
    "twin.md": "SK405",
    "Twin.md": "",
    "groß.md": "",
    "GROSS.md": "SK405",
}


def agents(place: Project, name: str) -> Path:
    return place.root / ".agents/skills" / name


@pytest.mark.parametrize("kind", ["folder", "git", "archive", "registry"])
def test_names_that_are_safe_travel_from_every_source(project: MakeProject, tmp_path: Path, kind: str) -> None:
    root = write_tree(tmp_path / "src/demo", {**skill_files("demo"), "README.md": "x", **dict.fromkeys(TRAVEL, "x\n")})
    digest = tree_digest(FolderTree(root))
    place = project()
    assert place.call("validate", root, "--json").ok().document["reports"][0]["installs"]
    place.call("scan", root).ok()
    if kind == "git":
        commit_all(root.parent)
    if kind == "archive":
        place.call("pack", root, "--output", tmp_path).ok()
    if kind == "registry":
        place.call("registry", "init", tmp_path / "shop").ok()
        place.call("publish", root, "--registry", tmp_path / "shop").ok()
    words: dict[str, list[str | Path]] = {
        "folder": [root],
        "git": [f"git+file:{root.parent}", "--all"],
        "archive": [tmp_path / "demo-1.0.tar.gz"],
        "registry": ["demo", "--registry", tmp_path / "shop"],
    }
    place.call("install", *words[kind]).ok()
    assert folder_digest(agents(place, "demo")) == digest
    place.call("verify").ok()


def test_what_is_refused_is_an_error_of_every_command_and_named_at_once(project: MakeProject, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "src/demo", {**skill_files("demo"), **dict.fromkeys(REFUSED, "x\n")})
    (tmp_path / "src/demo" / "latin\udce9.md").write_text("x")
    expected = sorted(code for code in [*REFUSED.values(), "SK403"] if code)
    place = project()
    report = place.call("validate", root, "--json").fails(1).document["reports"][0]
    assert sorted(finding["code"] for finding in report["findings"] if finding["severity"] == "error") == expected
    assert (report["installs"], report["specification"]) == (False, True)
    scanned = place.call("scan", root, "--json").fails(1).document["reports"][0]["findings"]
    assert sorted(finding["code"] for finding in scanned if finding["severity"] == "error") == expected
    strict = place.call("validate", root, "--level", "strict").ok()
    assert "0 of 1 can be installed, 1 of 1 follow the specification" in strict.err
    commands: list[list[str | Path]] = [["install", root], ["pack", root, "--output", tmp_path]]
    for words in commands:
        told = place.call(*words, "--json").fails(4, "rename or remove it")
        assert "demo" in told.err
        listed = {finding["path"] for finding in told.document["details"]["findings"] if finding["severity"] == "error"}
        assert len(listed) == len(expected)


def test_what_an_install_leaves_out_does_not_refuse_it(project: MakeProject) -> None:
    place = project({"demo": {**skill_files("demo"), "scripts/__pycache__/a.cpython-311.pyc": b"\xa7\r\r\n"}})
    assert "warning SK411" in place.call("scan", "./demo").ok().out
    place.call("install", "./demo").ok()
    assert not (agents(place, "demo") / "scripts/__pycache__").exists()


def test_a_skill_yaml_of_another_program_is_ignored_with_a_warning(project: MakeProject) -> None:
    text = skill_files("demo")["SKILL.md"]
    place = project({"demo": {"SKILL.md": text, "skill.yaml": "name: x\nversion: latest\ntriggers: [a]\n"}})
    told = place.call("validate", "./demo").ok()
    assert "warning SK505" in told.out
    place.call("install", "./demo").ok()
    assert (agents(place, "demo") / "skill.yaml").is_file()
    place.call("version", "set", "1.0.0", "demo").fails(2, "another program")
    assert "triggers" in (place.root / "demo/skill.yaml").read_text()
    place.write({"demo/skill.yaml": "manifest: 1\nversion: latest\n"})
    place.call("validate", "./demo").fails(1, "")


@pytest.mark.parametrize("name", ["contract.yaml", "synthesis.yaml"])
@pytest.mark.parametrize("text", ["openapi: 3.1.0\npaths: {}\n", "[1, 2]\n", "{not yaml", ""])
def test_a_document_of_another_program_is_ignored_with_a_warning(project: MakeProject, name: str, text: str) -> None:
    place = project({"demo": {"SKILL.md": skill_files("demo")["SKILL.md"], name: text}})
    assert f"demo/{name}: warning SK505" in place.call("validate", "./demo").ok().out
    place.call("install", "./demo").ok()
    assert "nothing to check" in place.call("selftest", "demo", "--yes").ok().err
    place.write({f"demo/{name}": f"{name.removesuffix('.yaml')}: 1\nopenapi: 3.1.0\n"})
    place.call("validate", "./demo").fails(1, "")
    place.write({f"demo/{name}": text, "demo/skill.yaml": "manifest: 1\nversion: 1.0.0\n"})
    place.call("validate", "./demo").fails(1, "")  # in a package of ours, the key is missing
