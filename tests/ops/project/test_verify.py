"""verify names every file that is not as the lock says, wherever it lies, and changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillpm.clients.table import UNIVERSAL
from skillpm.layout.tree import MappingTree
from tests.conftest import Project
from tests.shop import MakeProject, skill_files, write_registry

Tamper = Callable[[Path], Any]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first test has installed, copied for the others."""
    return tmp_path_factory.mktemp("template")


@pytest.fixture
def installed(project: MakeProject, tmp_path: Path, template: Path) -> Project:
    """Two skills, put into the folders of two agents; ``demo`` has a script."""
    place, shop = project(), tmp_path / "shop"
    places = {"project": place.root, "home": Path(place.environment["SKILLPM_HOME"]), "shop": shop}
    if (template / "project").is_dir():
        for name, folder in places.items():
            shutil.copytree(template / name, folder, dirs_exist_ok=True)
        return place
    demo = {**skill_files(), "scripts/run.sh": "echo\n"}
    trees = [
        MappingTree({path: text.encode() for path, text in files.items()}, {"scripts/run.sh"})
        for files in (demo, skill_files("other"), skill_files("demo", "2.0"))
    ]
    write_registry(shop, trees)
    place.call("install", "demo<2", "other", "--registry", shop, "--agent", "claude-code").ok()
    for name, folder in places.items():
        shutil.copytree(folder, template / name)
    return place


def stored(place: Project) -> Path:
    """The folder of ``demo`` in the store."""
    (folder,) = (path.parent for path in Path(place.environment["SKILLPM_HOME"]).glob("data/store/tree-v1/*/scripts"))
    return folder


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("edited\n")


def become_link(path: Path) -> None:
    content = path.with_name("elsewhere")
    path.rename(content)
    path.symlink_to(content)


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def everything(folder: Path) -> None:
    append(folder / "SKILL.md")
    (folder / "skill.yaml").unlink()
    (folder / "z").write_text("")


def file_for_folder(place: Project) -> None:
    shutil.rmtree(place.root / UNIVERSAL / "demo")
    place.write({f"{UNIVERSAL}/demo": "x"})


def link_into_the_store(place: Project) -> None:
    shutil.rmtree(place.root / UNIVERSAL / "demo")
    (place.root / UNIVERSAL / "demo").symlink_to(stored(place).resolve())


def edit_all_copies(place: Project) -> None:
    for folder in (stored(place), place.root / UNIVERSAL / "demo", place.root / ".claude/skills/demo"):
        append(folder / "SKILL.md")


# what is done to the folder: the files that are named, with what is said of each
FILES: dict[str, tuple[Tamper, set[tuple[str, str, str]]]] = {
    "append": (lambda folder: append(folder / "SKILL.md"), {("SKILL.md", "changed", "content")}),
    "one bit": (lambda folder: flip_bit(folder / "scripts/run.sh"), {("scripts/run.sh", "changed", "content")}),
    "mode": (
        lambda folder: (folder / "scripts/run.sh").chmod(0o644),
        {("scripts/run.sh", "changed", "executable bit")},
    ),
    "remove": (lambda folder: (folder / "skill.yaml").unlink(), {("skill.yaml", "missing", "")}),
    "remove a folder": (lambda folder: shutil.rmtree(folder / "scripts"), {("scripts/run.sh", "missing", "")}),
    "add": (lambda folder: (folder / "scripts/new.py").write_text("x"), {("scripts/new.py", "surplus", "")}),
    "rename": (
        lambda folder: (folder / "skill.yaml").rename(folder / "Skill.yaml"),
        {("skill.yaml", "missing", ""), ("Skill.yaml", "surplus", "")},
    ),
    "link for a file": (
        lambda folder: become_link(folder / "skill.yaml"),
        {("skill.yaml", "changed", "symlink"), ("elsewhere", "surplus", "")},
    ),
    "folder for a file": (lambda folder: become_folder(folder / "skill.yaml"), {("skill.yaml", "missing", "")}),
    "pipe": (lambda folder: os.mkfifo(folder / "pipe"), {("pipe", "surplus", "fifo")}),
    "a name that is no text": (
        lambda folder: Path(os.fsdecode(os.fsencode(folder) + b"/\xff\x1b[31m")).write_text("x"),
        {("\udcff\x1b[31m", "surplus", "")},
    ),
    "everything at once": (
        everything,
        {("SKILL.md", "changed", "content"), ("skill.yaml", "missing", ""), ("z", "surplus", "")},
    ),
}


@pytest.mark.attack(71, 72)
@pytest.mark.parametrize("tamper", FILES)
@pytest.mark.parametrize("where", ["store", UNIVERSAL, ".claude/skills"])
def test_every_file_is_named_wherever_it_was_tampered_with(installed: Project, tamper: str, where: str) -> None:
    folder = stored(installed) if where == "store" else installed.root / where / "demo"
    change, expected = FILES[tamper]
    change(folder)
    outcome = installed.call("verify", "--json")
    assert outcome.code == (4 if where == "store" else 1), outcome
    problems = outcome.document["problems"]
    place = "store" if where == "store" else f"{where}/demo"
    assert {(item["skill"], item["place"]) for item in problems} == {("demo", place)}
    assert {(item["path"], item["kind"], item["detail"]) for item in problems} == expected
    shown = installed.call("verify")
    assert shown.code == outcome.code
    assert "\x1b" not in shown.out, "what a file is called never reaches the terminal as it is"
    assert shown.out.count("hint:") == 1


@pytest.mark.parametrize("tamper", ["append", "mode", "remove", "add", "pipe", "link for a file"])
def test_what_verify_says_to_do_mends_it(installed: Project, tamper: str) -> None:
    FILES[tamper][0](stored(installed))
    append(installed.root / UNIVERSAL / "other/SKILL.md")
    installed.call("install", "--force").ok()
    assert "all as locked" in installed.call("verify").ok().err


# what is done to the project: (skill, place, kind, detail) of every problem, and the exit code
PLACES: dict[str, tuple[Callable[[Any], Any], set[tuple[str, str, str, str]], int]] = {
    "nothing": (lambda place: None, set(), 0),
    "a folder removed": (
        lambda place: shutil.rmtree(place.root / UNIVERSAL / "demo"),
        {("demo", f"{UNIVERSAL}/demo", "missing", "")},
        1,
    ),
    "an agent's folder removed": (
        lambda place: shutil.rmtree(place.root / ".claude"),
        {("demo", ".claude/skills/demo", "missing", ""), ("other", ".claude/skills/other", "missing", "")},
        1,
    ),
    "a stored tree removed": (lambda place: shutil.rmtree(stored(place)), {("demo", "store", "missing", "")}, 1),
    "a link for a folder": (
        lambda place: become_link(place.root / UNIVERSAL / "demo"),
        {("demo", f"{UNIVERSAL}/demo", "changed", "a link to another place")},
        1,
    ),
    "a file for a folder": (file_for_folder, {("demo", f"{UNIVERSAL}/demo", "changed", "not a folder")}, 1),
    "a link into the store for a copy": (
        link_into_the_store,
        {("demo", f"{UNIVERSAL}/demo", "changed", "another version, or another way of linking")},
        1,
    ),
    "the record lost": (lambda place: (place.root / ".skillpm/installed.json").unlink(), set(), 0),
    "a skill of one's own beside": (lambda place: place.write({f"{UNIVERSAL}/mine/SKILL.md": "x"}), set(), 0),
    "all that could tell": (
        edit_all_copies,
        {
            ("demo", place, "changed", "no intact copy is left to compare the files with")
            for place in ("store", f"{UNIVERSAL}/demo", ".claude/skills/demo")
        },
        4,
    ),
}


@pytest.mark.parametrize("case", PLACES)
def test_whole_places_are_named_as_well(installed: Project, case: str) -> None:
    change, expected, code = PLACES[case]
    change(installed)
    outcome = installed.call("verify", "--json")
    assert outcome.code == code, outcome
    found = {(item["skill"], item["place"], item["kind"], item["detail"]) for item in outcome.document["problems"]}
    assert found == expected
    assert outcome.document["ok"] is not bool(expected)


def test_linked_skills_are_verified_through_their_links(project: MakeProject) -> None:
    place = project({"mine": skill_files("mine")})
    place.call("install", "./mine", "--link", "symlink").ok()
    place.call("verify").ok()
    link = place.root / UNIVERSAL / "mine"
    tree = link.readlink()
    link.unlink()
    shutil.copytree(tree, link)
    assert "another way of linking" in place.call("verify").fails(1).out
    shutil.rmtree(link)
    link.symlink_to(tree)
    append(tree / "SKILL.md")
    assert "no intact copy is left" in place.call("verify").fails(4).out


def test_another_version_of_ours_is_no_edit(installed: Project, tmp_path: Path) -> None:
    old = (installed.root / "skillpm.lock").read_bytes()
    installed.call("install", "demo==2.0", "--registry", tmp_path / "shop").ok()
    installed.write({"skillpm.lock": old})
    problems = installed.call("verify", "--json").fails(1).document["problems"]
    assert {item["detail"] for item in problems} == {"another version, or another way of linking"}
    installed.call("install").ok()
    installed.call("verify").ok()


def test_a_folder_of_a_skill_that_left_the_lock_is_surplus(installed: Project) -> None:
    import json

    path = installed.root / "skillpm.lock"
    document = json.loads(path.read_text())
    document["skills"] = [skill for skill in document["skills"] if skill["name"] != "other"]
    document["requirements"] = ["demo<2"]
    path.write_text(json.dumps(document))
    problems = installed.call("verify", "--json").fails(1).document["problems"]
    assert {(item["place"], item["kind"]) for item in problems} == {
        (f"{UNIVERSAL}/other", "surplus"),
        (".claude/skills/other", "surplus"),
    }


def test_only_the_named_skills_are_looked_at(installed: Project) -> None:
    append(installed.root / UNIVERSAL / "other/SKILL.md")
    assert "1 skill in 2 folders: all as locked" in installed.call("verify", "demo").ok().err
    installed.call("verify", "other").fails(1)
    installed.call("verify", "demmo").fails(2, "`demo`")


def test_nothing_installed_is_said(project: MakeProject) -> None:
    assert "no skill is installed" in project().call("verify").ok().err
