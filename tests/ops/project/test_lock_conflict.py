"""Conflict markers in a lock: both sides are read, kept as far as they fit, and the rest is resolved again."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from skillpm.model.lock import Lock, LockedSkill, sides
from skillpm.model.source import Source
from skillpm.ops.context import Context
from skillpm.ops.project import lock as locking
from skillpm.ops.project.apply import project_held
from skillpm.ops.project.lock import check_lock, lock_project
from skillpm.settings import load_settings
from skillpm.storage.lockfile import checked_lock, read_lock
from tests.shop import MakeProject, publish, skill_files


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    releases = [skill_files("base", version) for version in ("1.0", "1.1", "2.0")]
    releases += [skill_files("top", requires={"base": "<2"}), skill_files("plain"), skill_files("plain", "1.5")]
    return publish(tmp_path / "shop", *releases)


def conflict(folder: Path, ours: str, theirs: str, base: str, *, style: str = "merge") -> str:
    """Return what git leaves of two changed texts."""
    for name, text in (("ours", ours), ("base", base), ("theirs", theirs)):
        (folder / name).write_text(text)
    command = ["git", "merge-file", "-p", *(["--diff3"] if style == "diff3" else []), "ours", "base", "theirs"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode > 0, "the two texts are in conflict"
    return done.stdout


@pytest.mark.attack(73)
@pytest.mark.parametrize("style", ["merge", "diff3"])
def test_both_sides_requirements_are_met_and_what_moved_is_said(
    project: MakeProject, shop: Path, tmp_path: Path, style: str
) -> None:
    place = project()
    place.call("install", "plain<1.5", "--registry", shop).ok()
    base = (place.root / "skillpm.lock").read_text()
    place.call("install", "base<1.1", "--registry", shop).ok()
    ours = (place.root / "skillpm.lock").read_text()
    place.write({"skillpm.lock": base})
    place.call("install", "top", "plain<2", "--registry", shop).ok()
    place.call("update").ok()
    theirs = (place.root / "skillpm.lock").read_text()
    text = conflict(tmp_path, ours, theirs, base, style=style)
    place.write({"skillpm.lock": text})
    for command in (["sync"], ["install", "base"], ["list"], ["sync", "--frozen"], ["lock", "--check"], ["update"]):
        place.call(*command).fails(7, "conflict markers", "`skillpm lock` reads both sides")
    shown = place.call("lock", "--dry-run", "--json").ok().document
    assert (place.root / "skillpm.lock").read_text() == text
    assert shown["merged"] == [
        {"name": "base", "ours": "1.0", "theirs": "1.1", "now": "1.0"},
        {"name": "plain", "ours": "1.5", "theirs": "1.5", "now": "1.0"},  # git took what only they had changed
    ]
    assert "2 names differ" in place.call("lock").ok().err
    lock = read_lock(place.root / "skillpm.lock")
    assert lock.requirements == ("base<1.1", "plain<1.5,<2", "top")
    place.call("sync").ok()
    place.call("lock", "--check").ok()


def test_the_newer_pin_is_kept_and_no_registry_is_asked_where_the_pins_fit(
    project: MakeProject, shop: Path, tmp_path: Path
) -> None:
    place = project({"skillpm.yaml": "project: 1\nrequires: {base: '*'}\nregistries: {shop: ../shop}\n"})
    locks = []
    for version in ("1.0", "1.1"):
        place.write({"skillpm.yaml": f"project: 1\nrequires: {{base: '=={version}'}}\nregistries: {{shop: ../shop}}\n"})
        place.call("lock").ok()
        locks.append((place.root / "skillpm.lock").read_text().replace(f"base=={version}", "base"))
    place.write({"skillpm.yaml": "project: 1\nrequires: {base: '*'}\nregistries: {shop: ../shop}\n"})
    place.write({"skillpm.lock": conflict(tmp_path, locks[0], locks[1], '{"lock": 1}\n')})
    shop.rename(tmp_path / "gone")
    place.call("lock").ok()
    assert [(entry.name, entry.version) for entry in read_lock(place.root / "skillpm.lock").skills] == [("base", "1.1")]


def test_sides_that_exclude_each_other_are_explained_and_left(project: MakeProject, shop: Path, tmp_path: Path) -> None:
    place = project()
    locks = []
    for text in ("base<2", "base>=2"):
        place.call("install", text, "--registry", shop).ok()
        locks.append((place.root / "skillpm.lock").read_text())
    text = conflict(tmp_path, locks[0], locks[1], '{"lock": 1}\n')
    place.write({"skillpm.lock": text})
    place.call("lock").fails(3, "base<2,>=2")
    assert (place.root / "skillpm.lock").read_text() == text


@pytest.mark.attack(73)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<<<<<<< a\n{}\n", "a conflict does not end"),
        ("<<<<<<< a\n{}\n=======\n=======\n{}\n>>>>>>> b\n", "unexpected marker"),
        ("<<<<<<< a\n<<<<<<< a\n{}\n=======\n{}\n>>>>>>> b\n", "unexpected marker"),
        ("<<<<<<< a\n{\n=======\n{}\n>>>>>>> b\n", "one side of the conflict is not a lock"),
        ('<<<<<<< a\n{"lock": 1}\n=======\n{"lock": 1, "skills": 3}\n>>>>>>> b\n', "is not a lock"),
    ],
)
def test_markers_that_make_no_sense_are_refused_and_left(project: MakeProject, text: str, words: str) -> None:
    place = project({"skillpm.lock": text})
    place.call("lock").fails(2, words, "hint")
    assert (place.root / "skillpm.lock").read_text() == text


def test_a_side_of_a_newer_skillpm_is_refused(project: MakeProject) -> None:
    text = '<<<<<<< a\n{"lock": 1}\n=======\n{"lock": 2}\n>>>>>>> b\n'
    project({"skillpm.lock": text}).call("lock").fails(7, "version 2", "upgrade")


def test_conflict_markers_in_the_project_file_are_for_a_person(project: MakeProject) -> None:
    text = "project: 1\n<<<<<<< a\nlink: copy\n=======\nlink: symlink\n>>>>>>> b\n"
    place = project({"skillpm.yaml": text})
    place.call("lock").fails(2, "skillpm.yaml: conflict markers", "by hand")


VERSIONS = ("1.0", "1.1", "2.0", "3.0")
NAMES = ("a", "b", "c", "d")
SPECIFIERS = ("", ">=1", "<2", ">=2", "<3", "==1.1", "!=2.0")
digests = st.integers(0, 9).map(lambda n: str(n) * 64)
entries = st.builds(
    LockedSkill,
    name=st.sampled_from(NAMES),
    version=st.sampled_from(VERSIONS),
    source=st.sampled_from(["bundled", "registry:../shop", "path:größer"]).map(Source.parse),
    archive=digests,
    tree=digests,
    requires=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(SPECIFIERS), max_size=2),
)
locks = st.builds(
    Lock,
    requirements=st.lists(st.sampled_from(["a", "b>=1", "c @ registry:../shop"]), unique=True).map(tuple),
    cutoff=st.none() | st.just("2026-11-13"),
    skills=st.lists(entries, unique_by=lambda entry: entry.name).map(tuple),
)


@given(locks, st.randoms())
def test_the_text_of_a_lock_is_canonical(lock: Lock, chance: Any) -> None:
    """Whatever the order in which a lock was put together, its text is the same, and reading gives it back."""
    shuffled = [*lock.skills], [*lock.requirements]
    for part in shuffled:
        chance.shuffle(part)
    text = lock.text()
    assert replace(lock, skills=tuple(shuffled[0]), requirements=tuple(shuffled[1])).text() == text
    assert checked_lock(text).text() == text
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@given(locks, locks)
def test_the_sides_of_a_conflict_are_the_two_texts(ours: Lock, theirs: Lock) -> None:
    for middle in ("", "||||||| base\n{}\n"):
        text = f"<<<<<<< HEAD\n{ours.text()}{middle}=======\n{theirs.text()}>>>>>>> other\n"
        assert sides(text) == (ours.text(), theirs.text())


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry: a and b need c in ways that differ from version to version; all of c and d."""
    root = tmp_path_factory.mktemp("market")
    needs: Mapping[str, Mapping[str, str]] = {
        "a1.0": {"c": "<2"}, "a1.1": {"c": ">=1"}, "a2.0": {"c": ">=2"}, "b1.0": {"c": "", "d": "<2"},
        "b2.0": {"c": "<3", "d": ""}, "b3.0": {"d": ">=2"},
    }  # fmt: skip
    for name in NAMES:
        for version in VERSIONS:
            lines = "".join(f"  {key}: '{value}'\n" for key, value in needs.get(name + version, {}).items())
            manifest = f"manifest: 1\nversion: '{version}'\n" + (f"requires:\n{lines}" if lines else "")
            head = f"---\nname: {name}\ndescription: Shows {name}. Use when testing.\n---\nDo it.\n"
            publish(root / "shop", {"SKILL.md": head, "skill.yaml": manifest})
    return root


wishes = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("", ">=1", "<2", "<3", ">=1.1")), min_size=1)


@settings(max_examples=30)
@given(ours=wishes, theirs=wishes)
def test_a_merged_lock_satisfies_both_sides(market: Path, ours: dict[str, str], theirs: dict[str, str]) -> None:
    """All wishes leave the releases 1.1, so that any two sides can be met together."""
    project = market / "project"
    project.mkdir(exist_ok=True)
    path, file = project / "skillpm.lock", project / "skillpm.yaml"

    def context() -> Context:
        environment = {"SKILLPM_HOME": str(market / "home")}
        return Context(load_settings(project=project, indexes=(str(market / "shop"),), environment=environment))

    texts = []
    for side in (ours, theirs):
        file.write_text(f"project: 1\nrequires: {json.dumps({name: text or '*' for name, text in side.items()})}\n")
        path.unlink(missing_ok=True)
        lock_project(context())
        texts.append(path.read_text())
    file.unlink()
    path.write_text(f"<<<<<<< a\n{texts[0]}=======\n{texts[1]}>>>>>>> b\n")
    lock_project(context())
    check_lock(context())
    merged = read_lock(path)
    for name, text in [*ours.items(), *theirs.items()]:
        entry = merged.skill(name)
        assert entry is not None
        assert SpecifierSet(text).contains(entry.version)
    assert path.read_text() == merged.text()


def test_what_another_command_has_just_required_is_locked(
    project: MakeProject, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = project({"skillpm.yaml": "project: 1\nrequires: {plain: '*'}\n"})

    @contextlib.contextmanager
    def held_after_another(folder: Path) -> Iterator[None]:
        place.write({"skillpm.yaml": "project: 1\nrequires: {plain: '*', base: '*'}\n"})
        with project_held(folder):
            yield

    monkeypatch.setattr(locking, "project_held", held_after_another)
    place.call("lock", "--registry", shop).ok()
    place.call("lock", "--check", "--registry", shop).ok()
