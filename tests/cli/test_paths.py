"""Paths are plain on the way in and short on the way out."""

from __future__ import annotations

import os
import pty
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from skillpm.cli.paths import TypedPath, shortened
from skillpm.storage.files import read_text
from tests.shop import MakeProject, skill_files


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


DOCUMENTS = [
    "train demo --recipe FILE --dry-run",
    "train demo --accelerate-config FILE --dry-run",
    "export rows demo --recipe FILE --output out",
    "import FILE",
    "eval demo --model FILE",
    "eval demo --model smollm2-135m --held-out FILE",
    "eval demo --model http://127.0.0.1:9/v1#m --held-out FILE",
    "answer demo FILE --model smollm2-135m --output out",
    "score demo FILE",
    "new made --from-tools FILE",
    "new made --from-mcp FILE",
    "new made --from-openapi FILE",
    "synth demo --from-traces FILE --output out",
    "synth demo --from-failures FILE --output out",
    "run demo hello --approve FILE --model smollm2-135m",
    "traces import FILE --skill demo",
    "key import work FILE",
    "key check ./demo --trust FILE",
    "validate FILE",
    "install FILE",
    "pack FILE",
    "scan FILE",
    "report FILE",
    "compare FILE FILE",
    "gate FILE",
    "rescore FILE --output out",
    "calibrate FILE",
    "runs show FILE",
    "train --resume FILE",
]


@pytest.fixture(scope="module")
def endless() -> Iterator[dict[str, str]]:
    """One path of each kind that may never end."""
    ours, theirs = pty.openpty()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        os.mkfifo(f"{folder}/pipe.jsonl")
        listening.bind(f"{folder}/socket.jsonl")
        Path(f"{folder}/zero.jsonl").symlink_to("/dev/zero")
        yield {
            "a named pipe": f"{folder}/pipe.jsonl",
            "a socket": f"{folder}/socket.jsonl",
            "a device": f"{folder}/zero.jsonl",
            "a terminal": os.ttyname(theirs),
        }
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("line", DOCUMENTS)
def test_no_command_waits_for_a_document_that_may_never_end(
    project: MakeProject, endless: dict[str, str], line: str
) -> None:
    place = project({"demo": skill_files()})
    place.call("install", "./demo").ok()
    for path in endless.values():
        ended = place.call(*(path if word == "FILE" else word for word in line.split()))
        assert ended.code in (1, 2, 3, 5, 6), ended
        assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", ["list", "lock", "install", "verify"])
@pytest.mark.parametrize("name", ["skillpm.yaml", "skillpm.lock"])
def test_a_document_of_a_project_that_may_never_end_is_refused(
    project: MakeProject, endless: dict[str, str], name: str, command: str
) -> None:
    place = project()
    for kind, path in endless.items():
        (place.root / name).unlink(missing_ok=True)
        (place.root / name).symlink_to(path)
        ended = place.call(command, *(["incident-triage"] if command == "install" else ()))
        assert ended.code in (2, 6), ended
        assert f"is {kind}, not a regular file" in ended.err


def test_a_pipe_of_a_shell_is_a_document_and_a_slow_one_is_told_of(
    endless: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = TypedPath(exists=True, dir_okay=False)
    for word, path in endless.items():
        with pytest.raises(click.BadParameter, match=f"is {word}, not a file; name a file, or pipe"):
            kind.convert(path, None, None)
    monkeypatch.setattr("skillpm.cli.paths._SOON", 1)
    read, write = os.pipe()
    pipe = f"/dev/fd/{read}"
    assert [str(kind.convert(path, None, None)) for path in (os.devnull, pipe)] == [os.devnull, pipe]
    assert capsys.readouterr().err == f"waiting for what is written into {pipe}; Ctrl-C ends it\n"
    os.write(write, b"a: 1\n")
    kind.convert(pipe, None, None)
    os.close(write)
    assert not capsys.readouterr().err
    assert read_text(Path(pipe)) == "a: 1\n"
    os.close(read)


def test_a_document_is_read_from_stdin(project: MakeProject) -> None:
    place = project({"demo": skill_files()})
    place.call("install", "./demo").ok()
    place.run("train", "demo", "--recipe", "-", "--dry-run", stdin="recipe: 1\nmodle: x\n").fails(2, "`modle`")
    twice = place.run("train", "demo", "--accelerate-config", "-", "--dry-run", stdin="num_processes: 2\n")
    twice.fails(2, "/dev/stdin is a pipe, not a regular file", "name that")


def test_messages_have_them(project: MakeProject) -> None:
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
    project: MakeProject, words: str, code: int, message: str
) -> None:
    project({"demo": skill_files()}).call(*words.split()).fails(code, message)
