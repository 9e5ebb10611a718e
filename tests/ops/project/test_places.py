"""``--all`` takes what it can and tells the rest in one message."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project, write_tree
from tests.servers import commit_all, git
from tests.shop import MakeProject, locked, skill_files

SEVEN_ZIP = b"7z\xbc\xaf'\x1c" + b"\0" * 100


def text(name: str, body: str = "Do it.\n") -> dict[str, Any]:
    return {"SKILL.md": skill_files(name, body=body)["SKILL.md"]}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Good skills, one of them twice, and three kinds of skills that cannot be taken."""
    root = tmp_path / "mixed"
    write_tree(
        root / "skills",
        {
            "good": text("good"),
            "twice": text("twice"),
            "hidden": text("hidden", "x\U000e0041\n"),
            "packed": {**text("packed"), "a.7z": SEVEN_ZIP},
            "names": {**text("names"), "what?.md": "", "nul": ""},
        },
    )
    write_tree(root / "copies", {"twice": text("twice")})
    commit_all(root)
    return root


def left_out(place: Project, *words: str | Path, code: int = 1) -> dict[str, str]:
    done = place.call("install", *words, "--json")
    assert done.code == code, done
    return {item["name"].rpartition("/")[2]: item["reason"] for item in done.document["left_out"]}


@pytest.mark.parametrize("kind", ["git", "folder"])
def test_all_takes_what_it_can_and_names_the_rest_at_once(project: MakeProject, mixed: Path, kind: str) -> None:
    source = f"git+file:{mixed}" if kind == "git" else f"{mixed}/"
    place = project()
    reasons = left_out(place, source, "--all", "--dry-run")
    assert set(reasons) == {"hidden", "packed", "names"}
    assert not (place.root / "skillpm.lock").exists()
    assert left_out(place, source, "--all") == reasons
    assert set(locked(place)) == {"good", "twice"}
    assert "SK601" in reasons["hidden"] and "--allow hidden:SK601" in reasons["hidden"]
    assert "--allow packed:SK417" in reasons["packed"]
    assert "what?.md" in reasons["names"] and "nul" in reasons["names"]


def test_what_is_left_out_on_purpose_or_accepted_is_no_failure(project: MakeProject, mixed: Path) -> None:
    place, source = project(), f"git+file:{mixed}"
    skip = [word for name in ("names", "hidden") for word in ("--skip", name)]
    done = place.call("install", source, "--all", *skip, "--allow", "packed:SK417").ok()
    assert "left out" not in done.err
    assert set(locked(place)) == {"good", "twice", "packed"}
    place.call("install", source, "--all", "--best-effort").ok()
    place.call("install", source, "--all", "--skip", "hiden").fails(2, "no skill `hiden`", "`hidden`")
    place.call("install", source, "--skip", "hidden").fails(2, "`--skip` needs `--all`")
    place.call("install", source, "--skill", "twice").ok()


def test_a_place_of_which_nothing_can_be_taken_is_an_error(project: MakeProject, mixed: Path) -> None:
    place = project()
    skip = [word for name in ("good", "twice") for word in ("--skip", name)]
    place.call("install", f"{mixed}/", "--all", *skip).fails(1, "no installable skill", "hidden", "packed", "names")
    assert not (place.root / "skillpm.lock").exists()


@pytest.mark.parametrize("layout", ["plugins/{}/skills", "external_plugins/{}/skills", "{}/skills"])
def test_plugins_give_their_names_to_skills_that_share_one(project: MakeProject, tmp_path: Path, layout: str) -> None:
    root = tmp_path / "market"
    write_tree(root, {".claude-plugin/marketplace.json": "{}", "skills/solo": text("solo")})
    for plugin in ("chat", "mail"):
        write_tree(root / layout.format(plugin) / "access", text("access", f"For {plugin}.\n"))
    commit_all(root)
    place = project({"skillpm.yaml": "project: 1\n"})
    source = f"git+file:{root}"
    place.call("install", source, "--skill", "access").fails(2, "chat/access, mail/access", "--skill chat/access")
    done = place.call("install", source, "--all").ok()
    assert "2 skills are called `access`" in done.err
    assert set(locked(place)) == {"chat/access", "mail/access", "solo"}
    for plugin in ("chat", "mail"):
        placed = place.root / f".agents/skills/{plugin}-access/SKILL.md"
        assert f"For {plugin}." in placed.read_text()
    before = (place.root / "skillpm.lock").read_bytes()
    (place.root / "skillpm.lock").unlink()
    place.call("sync").ok()
    assert (place.root / "skillpm.lock").read_bytes() == before, "skillpm.yaml alone gives the same skills"
    place.call("verify").ok()
    place.call("sync", "--frozen").ok()
    place.call("uninstall", "mail/access").ok()
    assert (place.root / ".agents/skills/access/SKILL.md").is_file(), "a name that is alone needs no owner"
    assert not (place.root / ".agents/skills/chat-access").exists()


@pytest.mark.parametrize("kind", ["git", "folder"])
@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (("skills/Alice.B/camera", "skills/bob/camera"), ("alice-b/camera", "bob/camera")),
        (("bob/tools/camera", "alice/tools/camera"), ("bob/camera", "alice/camera")),
        (("camera", "more/camera"), ("camera", "more/camera")),
        (("skills/camera", "plugins/mail/skills/camera"), ("camera", "mail/camera")),
        (("skills/bob/camera", "skills/bob/camera-pro"), ("camera", "camera-pro/camera")),
        (("skills/bob/pro", "skills/bob/camera"), ("pro/camera", "camera")),
        ((f"{'a' * 60}/camera-1", f"{'b' * 60}/camera-2"), ("camera-1/camera", "camera-2/camera")),
    ],
)
def test_folders_give_their_names_to_skills_that_share_one(
    project: MakeProject, tmp_path: Path, kind: str, folders: tuple[str, str], names: tuple[str, str]
) -> None:
    root = write_tree(tmp_path / "many", {"solo": text("solo")})
    for folder in folders:
        write_tree(root / folder, text("camera", f"In {folder}.\n"))
    commit_all(root)
    source = f"git+file:{root}" if kind == "git" else f"{root}/"
    place = project({"skillpm.yaml": "project: 1\n"})
    place.call("install", source, "--all").ok()
    assert set(locked(place)) == {*names, "solo"}
    for folder, name in zip(folders, names, strict=True):
        placed = place.root / ".agents/skills" / name.replace("/", "-") / "SKILL.md"
        assert f"In {folder}." in placed.read_text()
    before = (place.root / "skillpm.lock").read_bytes()
    (place.root / "skillpm.lock").unlink()
    place.call("sync").ok()
    assert (place.root / "skillpm.lock").read_bytes() == before, "skillpm.yaml alone gives the same skills"
    place.call("install", source, "--skill", names[1]).ok()
    place.call("verify").ok()


def test_warnings_of_many_skills_are_grouped_in_words(project: MakeProject, tmp_path: Path) -> None:
    names = [f"skill-{number}" for number in range(5)]
    write_tree(tmp_path / "many", {name: text(name, "x\n" * 600) for name in names})
    done = project().call("install", f"{tmp_path / 'many'}/", "--all", "--json").ok().document
    assert [line for line in done["warnings"] if "SK302" in line] == [
        "5 skills (skill-0, skill-1, skill-2 and 2 more): more than 500 lines (SK302)"
    ]
    assert json.dumps(done).count("SK302") == 1


def test_links_submodules_and_pointers_are_named(project: MakeProject, tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    root = write_tree(tmp_path / "linked", {"real/one": {**text("one"), "model.bin": pointer}, "a.md": "x"})
    (root / "skills").symlink_to("real")
    (root / "b.md").symlink_to("a.md")
    other = write_tree(tmp_path / "other", {"two": text("two")})
    commit_all(other)
    commit_all(root)
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "vendor")
    commit_all(root)
    place, source = project(), f"git+file:{root}"
    done = place.call("install", source, "--all", "--json").ok().document
    named = " ".join(done["warnings"])
    assert "`skills` is a link to `real`" in named and "`vendor` is a submodule" in named and "b.md" not in named
    assert "one: Git LFS pointer (SK421)" in done["warnings"]
    place.call("install", f"{source}#subdirectory=skills", "--all").fails(2, "`skills` is a symlink")
    here = project()
    told = here.call("install", str(root), "--all").ok()
    assert "`skills` is a link to `real`, which is not followed" in told.err
    here.call("verify").ok()  # the file `.git` of a submodule is no part of a skill
    assert not (here.root / ".agents/skills/two/.git").exists()
    here.call("install", f"{root}/", "--skill", "three").fails(2, "`skills` is a link to `real`")


@pytest.mark.parametrize("kind", ["folder", "git", "archive"])
def test_a_skill_too_deep_to_be_looked_for_is_named(project: MakeProject, tmp_path: Path, kind: str) -> None:
    folder = "a/b/c/d/e/f/low"
    skills = {folder: text("low"), "high": text("high")}
    root = write_tree(tmp_path / "deep", {**skills, "README.md": "of the repository"})
    place = project()

    def source() -> str:
        if kind == "git":
            commit_all(root)
        if kind == "archive":
            return shutil.make_archive(str(tmp_path / "packed"), "zip", root)
        return f"git+file:{root}" if kind == "git" else f"{root}/"

    done = place.call("install", source(), "--all").ok()
    assert f"`{folder}` is more than 6 folders deep" in done.err and not (place.root / ".agents/skills/low").exists()
    place.call("install", source(), "--skill", "low").fails(2, f"`{folder}` is more than 6 folders deep")
    named = source().rstrip("/") + (f"/{folder}" if kind == "folder" else f"#subdirectory={folder}")
    place.call("install", named).ok()
    shutil.rmtree(root / "high")
    place.call("install", source(), "--all").fails(1, "no SKILL.md", f"`{folder}` is more than 6 folders deep")
    if kind == "folder":
        assert "1 skill checked" in place.call("validate", str(root)).err
        assert "1 skill scanned" in place.call("scan", f"{root}/").err
