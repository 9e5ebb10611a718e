"""Paths are plain on the way in and short on the way out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skillpm.cli.paths import TypedPath, shortened
from tests.shop import MakeProject, SkillFiles


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{here}/a/b is not a skill", "a/b is not a skill"),
        ("`{here}/a` and ({here}//b)", "`a` and (b)"),
        ("{here}: no SKILL.md", "{here}: no SKILL.md"),
        ("{here}-other/a", "{here}-other/a"),
        ("file://{here}/a", "file://{here}/a"),
        ("path:{here}/a", "path:{here}/a"),
        ("/elsewhere{here}/a", "/elsewhere{here}/a"),
        ("nothing of it", "nothing of it"),
        ("run `skillpm install {here}/mine`", "run `skillpm install ./mine`"),
        ("run `skillpm install {here}/mine {here}/a/b`", "run `skillpm install ./mine a/b`"),
        ("`a` and `{here}/mine`, then `skillpm list`", "`a` and `mine`, then `skillpm list`"),
        ("`skillpm publish PATH --registry '{here}/my shop'`", "`skillpm publish PATH --registry './my shop'`"),
    ],
)
def test_what_is_below_is_told_as_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, shown: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shortened(text.format(here=tmp_path)) == shown.format(here=tmp_path)


def test_a_detour_goes_unless_a_link_leads_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b", "far/away"):
        Path(folder).mkdir(parents=True)
    Path("link").symlink_to("far/away")
    kind = TypedPath()
    assert kind.convert("./a/../b", None, None) == Path("b")
    assert kind.convert("a//", None, None) == Path("a")
    assert kind.convert("link/../b", None, None) == Path("link/../b")


def test_a_device_is_no_document_and_a_named_pipe_says_what_it_waits_for(
    project: MakeProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a shell hands over as a file, and an empty document, are read as they are."""
    project().call("train", "--recipe", "/dev/zero", "--dry-run").fails(2, "/dev/zero is a device, not a file")
    kind = TypedPath(exists=True, dir_okay=False)
    os.mkfifo(tmp_path / "pipe")
    read, write = os.pipe()
    for path in (os.devnull, f"/dev/fd/{read}", f"{tmp_path}/pipe"):
        assert str(kind.convert(path, None, None)) == path
    os.close(read)
    os.close(write)
    assert capsys.readouterr().err == f"{tmp_path}/pipe is a pipe: waiting for a program that writes into it\n"


def test_messages_have_them(project: MakeProject, skill_files: SkillFiles) -> None:
    place = project({"a": {}, "bare": {"README.md": "x"}, "demo": skill_files() | {"SKILL.md": "no frontmatter"}})
    place.call("version", "./a/../bare").fails(1, "no SKILL.md in bare")
    place.call("publish", "bare", "--registry", "./a").fails(5, "error: a is not a registry")
    assert place.call("validate", "./a/../demo").out.startswith("demo/SKILL.md")
    assert place.call("validate", cwd=place.root / "demo").code == 2
    assert place.call("validate", ".", cwd=place.root / "demo").out.startswith("SKILL.md")


@pytest.mark.parametrize("url", ["https://example.org/shop", "file:///tmp/x", "git+ssh://host/x"])
def test_a_url_is_no_folder_here(project: MakeProject, url: str) -> None:
    place = project()
    for words in (["registry", "init"], ["validate"], ["pack"], ["eval", "x", "--output"], ["export", "sbom", "-o"]):
        place.call(*words, url).fails(2, "is a URL, not a path")
    assert not list(place.root.iterdir())


def test_a_result_never_replaces_a_folder_or_a_document_of_the_project(project: MakeProject) -> None:
    place = project()
    place.call("install", "shell-tools").ok()
    lock = (place.root / "skillpm.lock").read_bytes()
    for target, text in (("skillpm.lock", "is a document of a project"), (".", "is a folder")):
        place.call("export", "sbom", "-o", target).fails(2, text)
    assert (place.root / "skillpm.lock").read_bytes() == lock


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("install ~nobody-here/x", 2, "there is no ~nobody-here/x"),
        ("show ~nobody-here/x", 2, "~nobody-here/x is not a folder"),
        ("scan ~nobody-here/x", 2, "there is no file or folder ~nobody-here/x"),
        ("train ./demo --model ~nobody-here/x --dry-run", 2, "no model `~nobody-here/x`"),
        ("eval ./demo --model ~nobody-here/x", 2, "no model `~nobody-here/x`"),
    ],
)
def test_the_home_of_nobody_is_a_path_that_is_not_there(
    project: MakeProject, skill_files: SkillFiles, words: str, code: int, message: str
) -> None:
    project({"demo": skill_files()}).call(*words.split()).fails(code, message)
