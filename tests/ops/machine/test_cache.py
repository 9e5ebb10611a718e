"""A clean-up removes what nothing needs and never what a project needs, whoever installs at the same time."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.clients.table import UNIVERSAL
from skillpm.errors import BusyError
from skillpm.model.lock import Lock
from skillpm.model.wheel import Wheel, WheelSet
from skillpm.ops.context import Context
from skillpm.ops.machine.cache import RESTED, SEALED, inspect_cache, prune
from skillpm.ops.project.asked import Asked
from skillpm.ops.project.install import InstallOptions, install
from skillpm.ops.project.sync import sync
from skillpm.ops.project.uninstall import uninstall
from skillpm.settings import Settings
from skillpm.storage.store import Store
from skillpm.storage.usage import known_projects
from skillpm.trust.consent import Consents
from skillpm.worker.environments import Environments
from tests.servers import serving
from tests.shop import MakeProject, publish, tree

NAMES = ["one", "two", "three"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """one, two (needs one) and three, each in two versions."""
    root = tmp_path_factory.mktemp("shop")

    def files(name: str, version: str) -> dict[str, str]:
        requires = "requires: {one: '>=1'}\n" if name == "two" else ""
        return {
            "SKILL.md": f"---\nname: {name}\ndescription: Shows {name}. Use when testing.\n---\nDo it.\n",
            "skill.yaml": f"manifest: 1\nversion: '{version}'\n{requires}",
        }

    return publish(root, *(files(name, version) for name in NAMES for version in ("1.0", "2.0")))


def needed(project: Path) -> set[str]:
    path = project / "skillpm.lock"
    return {entry.tree for entry in Lock.parse(path.read_text()).skills} if path.exists() else set()


PROJECTS = st.integers(0, 2)
STEPS = st.one_of(
    st.tuples(st.just("install"), PROJECTS, st.sampled_from(NAMES), st.sampled_from(["==1.0", "==2.0"]), st.booleans()),
    st.tuples(st.just("uninstall"), PROJECTS, st.sampled_from(NAMES)),
    st.tuples(st.just("delete"), PROJECTS),
    st.tuples(st.just("move"), PROJECTS),
    st.tuples(st.just("prune"), PROJECTS),
)


@settings(max_examples=25)
@given(st.lists(STEPS, max_size=12))
def test_whatever_projects_do_a_clean_up_keeps_what_they_need_and_nothing_else(
    shop: Path, steps: list[tuple[Any, ...]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = _World(Path(folder), shop)
        for step in [*steps, ("prune", 0)]:
            getattr(world, step[0])(*step[1:])
        assert set(world.store.digests()) == set().union(*map(needed, world.projects))


class _World:
    """Three projects that share a store."""

    def __init__(self, root: Path, shop: Path) -> None:
        self.root = root
        self.shop = shop
        self.store = Store(root / "home/store")
        self.projects = [root / f"project{number}" for number in range(3)]

    def settings(self, project: Path) -> Settings:
        flags, environment = {"registry": (str(self.shop),)}, {"SKILLPM_NO_PLUGINS": "1"}
        folders = self.root / "home", self.root / "cache", self.root / "config.yaml"
        return Settings(project, *folders, flags=flags, environment=environment)

    def install(self, number: int, name: str, specifier: str, linked: bool) -> None:
        self.projects[number].mkdir(exist_ok=True)
        context = Context(self.settings(self.projects[number]))
        options = InstallOptions([UNIVERSAL], link="symlink" if linked else "copy")
        install(context, Asked.read([f"{name}{specifier}"]), options)

    def uninstall(self, number: int, name: str) -> None:
        context = Context(self.settings(self.projects[number]))
        lock = context.lock()
        if lock.skill(name) and not (name == "one" and lock.skill("two")):
            uninstall(context, [name], InstallOptions())

    def delete(self, number: int) -> None:
        shutil.rmtree(self.projects[number], ignore_errors=True)

    def move(self, number: int) -> None:
        """A project moves; its next install, though it changes nothing, makes it known again."""
        project = self.projects[number]
        if (project / "skillpm.lock").exists():
            moved = project.with_name(f"{project.name}m")
            project.rename(moved)
            self.projects[number] = moved
            sync(Context(self.settings(moved)), InstallOptions([UNIVERSAL]))

    def prune(self, number: int) -> None:
        before = set(self.store.digests())
        wanted = set().union(*map(needed, self.projects))
        planned = prune(self.settings(self.projects[number]), dry_run=True)
        assert set(self.store.digests()) == before, "a dry run removes nothing"
        done = prune(self.settings(self.projects[number]))
        assert {item.tree for item in done.removed} == {item.tree for item in planned.removed} == before - wanted
        for project in self.projects:
            assert all(self.store.verify(digest) for digest in needed(project))
            folder = project / UNIVERSAL
            assert all((path / "SKILL.md").is_file() for path in (folder.iterdir() if folder.is_dir() else ()))


def world_of(place: Any) -> Settings:
    home = Path(place.environment["SKILLPM_HOME"])
    return Settings(place.root, home / "data", home / "cache", home / "config.yaml")


def test_a_lock_that_cannot_be_understood_keeps_all_that_it_names(project: MakeProject, shop: Path) -> None:
    place, other = project(), project()
    place.call("install", "two", "--registry", shop).ok()
    text = (place.root / "skillpm.lock").read_text()
    place.write({"skillpm.lock": f"<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n"})
    assert other.call("cache", "prune", "--json", cwd=other.root).ok().document["removed"] == []
    place.write({"skillpm.lock": text.replace('"lock": 1', '"lock": 99'), ".skillpm": {"installed.json": "{"}})
    assert other.call("cache", "prune", "--json").ok().document["removed"] == []


def test_the_lock_of_a_run_keeps_its_skills(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "three", "--registry", shop).ok()
    place.write({"runs": {"a": {"skillpm.lock": (place.root / "skillpm.lock").read_bytes()}}})
    place.call("uninstall", "three").ok()
    assert place.call("cache", "prune", "--json").ok().document["kept"] == 1
    shutil.rmtree(place.root / "runs")
    assert [item["name"] for item in place.call("cache", "prune", "--json").ok().document["removed"]] == ["three"]


def test_a_lock_that_cannot_be_read_stops_a_clean_up_before_anything_is_removed(
    project: MakeProject, shop: Path
) -> None:
    place, other = project(), project()
    for where, name in ((place, "one"), (other, "three")):
        where.call("install", name, "--registry", shop).ok()
    shutil.rmtree(other.root / UNIVERSAL)
    (place.root / "skillpm.lock").unlink()
    (place.root / "skillpm.lock").mkdir()
    other.call("uninstall", "three").ok()
    before = Store(world_of(place).store).digests()
    other.call("cache", "prune").fails(6, "cannot read what is locked in", str(place.root))
    assert Store(world_of(place).store).digests() == before


def test_a_project_that_is_gone_is_forgotten(project: MakeProject, shop: Path) -> None:
    place, other = project(), project()
    place.call("install", "one", "--registry", shop).ok()
    shutil.rmtree(place.root)
    planned = other.call("cache", "prune", "--dry-run").ok()
    assert "would remove 1 stored skill" in planned.err
    assert "would forget" in planned.err
    assert known_projects(world_of(place).store) == [Path(os.path.realpath(place.root))]
    assert "removed 1 stored skill" in other.call("cache", "prune").ok().err
    assert known_projects(world_of(place).store) == []
    assert "nothing to remove" in other.call("cache", "prune").ok().err


def test_info_tells_who_needs_what_and_prune_of_no_store_makes_none(project: MakeProject, shop: Path) -> None:
    place = project()
    home = Path(place.environment["SKILLPM_HOME"])
    assert "nothing to remove" in place.call("cache", "prune").ok().err
    assert not home.exists()
    place.call("install", "two", "--registry", shop).ok()
    (home / "cache/models/small").mkdir(parents=True)
    (home / "cache/models/small/weights").write_bytes(b"x" * 2500)
    shown = place.call("cache", "info").ok()
    assert "stored skills that 1 project needs  2" in shown.out
    assert "cache: models" in shown.out
    assert "2.5 kB" in shown.out
    document = place.call("cache", "info", "--json").ok().document
    assert {item["name"]: tuple(item["projects"]) for item in document["skills"]} == dict.fromkeys(
        ("one", "two"), (os.path.realpath(place.root),)
    )
    assert place.call("cache", "dir").ok().out.strip() == document["cache"] == str(home / "cache")
    assert place.call("cache", "dir", "--store").ok().out.strip() == document["store"]


def test_a_damaged_entry_that_nothing_needs_is_removed_as_well(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "one", "--registry", shop).ok()
    store = Store(world_of(place).store)
    (digest,) = store.digests()
    place.call("uninstall", "one").ok()
    (store.path(digest) / "SKILL.md").unlink()
    assert [item["name"] for item in place.call("cache", "prune", "--json").ok().document["removed"]] == [""]
    assert store.digests() == []


@pytest.mark.attack(67)
def test_a_clean_up_waits_for_an_install_and_says_when_it_has_waited_enough(tmp_path: Path) -> None:
    place = Settings(tmp_path, tmp_path, tmp_path / "cache", tmp_path / "config.yaml")
    script = (
        "import sys, time; from pathlib import Path; from skillpm.storage.store import Store\n"
        f"with Store(Path({str(place.store)!r})).writing(): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin
    assert holder.stdout
    try:
        assert holder.stdout.readline()
        with pytest.raises(BusyError):
            prune(place, wait=0.05)
        holder.stdin.close()
        prune(place)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


@pytest.mark.attack(67)
@pytest.mark.slow
def test_installs_and_clean_ups_at_the_same_time_leave_every_project_whole(project: MakeProject, shop: Path) -> None:
    """One process cleans without pause while others install and uninstall the same skills in their projects."""
    places = [project() for _ in range(3)]
    cleaner = (
        "import sys, time; from skillpm.ops.machine.cache import prune; from skillpm.settings import load_settings\n"
        "count = 0\n"
        "print('cleaning', flush=True)\n"
        "while not __import__('select').select([sys.stdin], [], [], 0)[0]:\n"
        "    count += len(prune(load_settings()).removed)\n"
        "print(count)"
    )
    worker = (
        "import sys; from skillpm.cli.main import main\n"
        "for _ in range(12):\n"
        "    words = ['install', 'two', 'three', '--registry', sys.argv[1], '--link', sys.argv[2]]\n"
        "    main(words, standalone_mode=False)\n"
        "    main(['verify'], standalone_mode=False) and sys.exit(5)\n"
        "    main(['uninstall', 'two', 'three'], standalone_mode=False)\n"
        "main(['install', 'two', '--registry', sys.argv[1]], standalone_mode=False)"
    )

    def start(place: Any, script: str, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", script, *words],
            cwd=place.root,
            env=dict(place.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    idle = project()
    cleaning = start(idle, cleaner)
    assert cleaning.stdout
    assert cleaning.stdout.readline() == b"cleaning\n"
    working = [
        start(place, worker, str(shop), link) for place, link in zip(places, ("copy", "symlink", "copy"), strict=True)
    ]
    for process in working:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, out.decode() + err.decode()
    out, err = cleaning.communicate(b"\n", timeout=60)
    assert cleaning.returncode == 0, err.decode()
    assert int(out) > 0, "nothing was ever removed, so nothing was tried"
    for place in places:
        place.call("verify").ok()
        assert [item["name"] for item in place.call("list", "--json").ok().document["skills"]] == ["one", "two"]


def test_a_clean_up_killed_at_any_time_leaves_a_store_that_verifies(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "one", "--registry", shop).ok()
    store = Store(world_of(place).store)
    for number in range(40):
        store.add(tree({"SKILL.md": f"text {number}", "a": "x", "b": "y"}))
    for pause in (0.0, 0.002, 0.005, 0.01):
        script = (
            "from skillpm.ops.machine.cache import prune; from skillpm.settings import load_settings\n"
            "print('go', flush=True); prune(load_settings())"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script], cwd=place.root, env=dict(place.environment), stdout=subprocess.PIPE
        )
        assert process.stdout
        process.stdout.readline()
        time.sleep(pause)
        process.kill()
        process.wait()
        process.stdout.close()
        assert all(store.verify(digest) for digest in store.digests())
    place.call("cache", "prune").ok()
    assert [item.name for item in inspect_cache(world_of(place)).needed] == ["one"]
    assert not any((store.root / "tmp").iterdir())
    assert json.loads((place.root / ".skillpm/installed.json").read_text())["folders"]
    place.call("verify").ok()


def test_what_can_be_fetched_again_is_removed_and_prepared_models_only_where_that_is_asked(
    project: MakeProject, shop: Path
) -> None:
    place = project()
    cache = Path(place.environment["SKILLPM_HOME"]) / "cache"
    with serving(shop) as site:
        place.call("install", "one", "--registry", site.url).ok()
    for name in ("models/small/weights", "git-v1/old.git/HEAD", "git-v1/busy.git/HEAD", "git-v1/old.lock"):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(b"x" * 1000)
    long_ago = time.time() - 2 * RESTED
    os.utime(cache / "git-v1/old.git", (long_ago, long_ago))
    for name, days in (("old", 2), ("used", 0)):
        sealed = cache / "sealed" / "tree-v1" / name
        sealed.mkdir(parents=True)
        (sealed / "verifier.py").write_bytes(b"x")
        os.utime(sealed, (time.time() - days * SEALED,) * 2)
    planned = place.call("cache", "prune", "--dry-run", "--json").ok().document
    assert {item["name"]: item["files"] for item in planned["cached"]} == {"git-v1": 1, "pages-v1": 2, "sealed": 1}
    assert "1 prepared model too (`--models` removes them)" in place.call("cache", "prune").ok().err
    left = {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()}
    assert left == {
        "models/small/weights",
        "git-v1/busy.git/HEAD",
        "git-v1/old.lock",
        "sealed/tree-v1/used/verifier.py",
    }
    assert "removed 1 file of models: 1.0 kB" in place.call("cache", "prune", "--models").ok().err
    assert not list((cache / "models").iterdir())
    place.call("verify").ok()


def test_environments_that_no_stored_skill_asks_for_are_removed_a_day_after_their_last_use(tmp_path: Path) -> None:
    """The newest are spared, for a run of a skill outside the store may be using one of them right now."""
    files = {
        "SKILL.md": "---\nname: one\ndescription: Shows one. Use when testing.\n---\nDo it.\n",
        "skill.yaml": "manifest: 1\nversion: '1'\npython: [acme]\n",
        "plugin.py": "",
    }
    shop = tmp_path / "shop"
    publish(shop, files)
    flags, folders = {"registry": (str(shop),)}, (tmp_path / "home", tmp_path / "cache", tmp_path / "config.yaml")
    environment = {"SKILLPM_NO_PLUGINS": "1", "SKILLPM_OFFLINE": "1"}
    context = Context(Settings(tmp_path, *folders, flags=flags, environment=environment))
    done = install(context, Asked.read(["one"]), InstallOptions([UNIVERSAL]))
    assert "the lock has no Python packages of one" in " ".join(done.warnings)
    place = Environments(context.settings.environments)
    sets = {
        name: WheelSet(platform="any", wheels=(Wheel(file=f"{name}-1-py3-none-any.whl", sha256=digit * 64),))
        for name, digit in (("acme", "1"), ("other", "2"), ("fresh", "3"))
    }
    built = {name: place.place(wheels) for name, wheels in sets.items()}
    (skill,) = context.installed()
    consents = Consents(context.settings.consents)
    consents.grant(dataclasses.replace(consents.request(skill), wheels=sets["acme"]))
    for name, folder in built.items():
        folder.mkdir(parents=True)
        (folder / "environment.json").write_text("{}")
        if name != "fresh":
            os.utime(folder / "environment.json", (0, 0))
    unneeded = built["other"]
    assert [item.name for item in prune(context.settings, dry_run=True).environments] == [unneeded.name]
    assert [item.name for item in prune(context.settings).environments] == [unneeded.name]
    assert sorted(path for path in place.folder.iterdir()) == sorted([built["acme"], built["fresh"]])
