"""Breaks installs, updates, uninstalls and publishing on purpose; counts what is left broken: what, tries, hit, broken.

After every fault three things must hold: the store verifies, the lock parses, and the same command run again completes,
leaving exactly what it leaves where nothing went wrong. The faults:

- killed: ``kill -9`` at random instants, and at every step that changes a name or opens a file for writing;
- full: a real file system of every size from too small to just large enough (a tmpfs, which needs the right to mount);
- read-only: the project, the store or the home may not be written;
- at once: twenty installs of overlapping sets, in one project and in twenty that share a store; eight publishers;
- held: whoever holds the locks is killed.

Commands run in forked processes that have all of skillpm imported, so that instants fall where something happens.

Run: ``python benchmarks/reliability.py [--only kill] [--instants 200] [--skills 8] [--seed 7]``
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import io
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from skillpm.cli.main import run
from skillpm.index.folder_registry import FolderRegistry
from skillpm.layout.tree import MappingTree, tree_digest
from skillpm.model.lock import Lock
from skillpm.storage.archive import read_archive
from skillpm.storage.store import folder_digest
from tests.shop import write_registry

FOLDER = ".agents/skills"
CHANGING = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "shutil.rmtree", "os.chmod"}


@dataclass
class Tally:
    """One fault: how often it was tried, how often it hit before the command had ended, and what it left broken."""

    what: str
    tries: int = 0
    hit: int = 0
    broken: list[str] = field(default_factory=list)

    def row(self) -> str:
        """Return the line of the table."""
        return f"{self.what:<62} {self.tries:>6} {self.hit:>6} {len(self.broken):>7}"


def files_of(name: str, version: str) -> dict[str, bytes]:
    """Return the files of a skill with a script, a reference and a template."""
    head = f"---\nname: {name}\ndescription: Shows {name}. Use when a fault is injected.\n---\n"
    return {
        "SKILL.md": (head + f"Version {version}.\n" * 40).encode(),
        "skill.yaml": f"manifest: 1\nversion: '{version}'\n".encode(),
        "scripts/run.sh": f"echo {version}\n".encode(),
        "references/deep/NOTES.md": f"{name} {version}\n".encode() * 100,
    }


def skill_tree(name: str, version: str) -> MappingTree:
    return MappingTree(files_of(name, version), {"scripts/run.sh"})


class World:
    """A registry with two versions of some skills, and states of a project and a home to begin from."""

    def __init__(self, root: Path, skills: int) -> None:
        self.root = root
        self.names = [f"skill-{number}" for number in range(skills)]
        self.registry = root / "registry"
        self.states = root / "states"
        self.place = root / "place"
        self._publish("1.0")
        self._warm()
        self._record("empty", [])
        self._record("installed", ["install", *self.names, "--registry", str(self.registry), "--agent", "claude-code"])
        self._publish("2.0")

    def _publish(self, version: str) -> None:
        write_registry(self.registry, [skill_tree(name, version) for name in self.names])

    def install(self, version: str, names: Sequence[str] = ()) -> list[str]:
        """Return the command that installs a version of some skills, of all where none is named."""
        wanted = [f"{name}@{version}" for name in names or self.names]
        return ["install", *wanted, "--registry", str(self.registry), "--agent", "claude-code"]

    def begin(self, state: str) -> None:
        """Make place/ (a project and a home) what it was in a state."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.states / state, self.place, symlinks=True)

    def _warm(self) -> None:
        """Import all that the commands import, here, so that forked processes start where something happens."""
        places, before, here = {"HOME": str(self.place), "SKILLPM_HOME": str(self.place)}, dict(os.environ), Path.cwd()
        self.place.mkdir()
        os.environ.update(places)
        os.chdir(self.place)
        try:
            for arguments in (self.install("1.0"), ["update"], ["uninstall", *self.names], ["uninstall", "none"]):
                said = io.StringIO()
                with (
                    contextlib.suppress(SystemExit),
                    contextlib.redirect_stdout(said),
                    contextlib.redirect_stderr(said),
                ):
                    run(arguments)
            importlib.import_module("skillpm.cli.publish")
            importlib.import_module("skillpm.ops.authoring.publish")
        finally:
            os.chdir(here)
            os.environ.clear()
            os.environ.update(before)
            shutil.rmtree(self.place)

    def _record(self, state: str, arguments: list[str]) -> None:
        for folder in ("project", "home"):
            (self.place / folder).mkdir(parents=True)
        if arguments:
            code, text = self.call(arguments)
            assert code == 0, text
        shutil.copytree(self.place, self.states / state, symlinks=True)
        shutil.rmtree(self.place)

    def call(self, arguments: Sequence[str], prepare: Callable[[], None] | None = None) -> tuple[int, str]:
        """Run a command to its end; return its exit code, negative for a signal, and what it said."""
        child = Child(self, arguments, prepare)
        return child.wait()


class Child:
    """A command in a forked process."""

    def __init__(
        self,
        world: World,
        arguments: Sequence[str],
        prepare: Callable[[], None] | None = None,
        project: Path | None = None,
        home: Path | None = None,
    ) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - read when it has ended
        self.pid = os.fork()
        if self.pid == 0:
            self._live(arguments, prepare, project or world.place / "project", home or world.place / "home")

    def _live(self, arguments: Sequence[str], prepare: Callable[[], None] | None, project: Path, home: Path) -> None:
        code = 70
        try:
            for stream in (1, 2):
                os.dup2(self._said.fileno(), stream)
            os.chdir(project)
            os.environ.update(HOME=str(home), SKILLPM_HOME=str(home / "skillpm"), NO_COLOR="1")
            if prepare is not None:
                prepare()
            run(list(arguments))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        except BaseException:  # noqa: BLE001 - a defect is told, and counted as one
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def kill(self, after: float = 0.0) -> float:
        """Kill it with -9, or let it end before that many seconds have passed; return how many have."""
        start = time.perf_counter()
        while (passed := time.perf_counter() - start) < after and not self._ended():
            time.sleep(0.0005)
        os.kill(self.pid, signal.SIGKILL)
        return passed

    def _ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self) -> tuple[int, str]:
        """Return its exit code, negative for a signal, and what it said."""
        _, status = os.waitpid(self.pid, 0)
        self._said.seek(0)
        text = self._said.read().decode(errors="replace")
        self._said.close()
        return os.waitstatus_to_exitcode(status), text


def killed_at_step(step: int) -> Callable[[], None]:
    """Return what makes the process kill itself before its n-th change of a name or opening of a file to write."""

    def prepare() -> None:
        left = step

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in CHANGING or writes:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    return prepare


def digest(root: Path) -> dict[str, str]:
    """Return the digest of every file below a folder; locks between processes left out."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def store_problems(home: Path) -> list[str]:
    store = home / "skillpm/data/store/tree-v1"
    entries = sorted(store.iterdir()) if store.is_dir() else []
    return [f"store: {entry.name} is damaged" for entry in entries if folder_digest(entry) != entry.name]


def problems(project: Path, home: Path) -> list[str]:
    """Return what is broken right after a fault: the store and the lock; folders that are neither old nor new."""
    found = store_problems(home)
    lock = project / "skillpm.lock"
    if lock.exists():
        try:
            Lock.parse(lock.read_text())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            found.append(f"lock: {error}")
    for folder in project.glob("*/skills/skill-*"):
        held = folder_digest(folder)
        if held not in {tree_digest(skill_tree(folder.name, version)) for version in ("1.0", "2.0")}:
            found.append(f"{folder.relative_to(project)} is neither the old nor the new skill")
    return found


def after_completion(world: World, arguments: Sequence[str], expected: dict[str, str]) -> list[str]:
    """Run the command again; return what is wrong then."""
    code, said = world.call(arguments)
    project, home = world.place / "project", world.place / "home"
    found = [f"the next run ended with {code}: {said[-400:]}"] if code else []
    found += problems(project, home)
    if digest(project) != expected:
        differing = sorted(set(digest(project).items()) ^ set(expected.items()))
        found.append(f"the next run left {differing[:3]}")
    left = list((home / "skillpm/data/store/tmp").glob("*"))
    return found + [f"the next run left {path}" for path in left]


def scenarios(world: World) -> dict[str, tuple[str, list[str]]]:
    """Return (state to begin from, command) by name."""
    return {
        "install": ("empty", world.install("1.0")),
        "update": ("installed", ["update"]),
        "uninstall": ("installed", ["uninstall", *world.names]),
    }


def expected_of(world: World, state: str, arguments: Sequence[str]) -> tuple[dict[str, str], float]:
    """Run a command undisturbed; return what it leaves in the project, and how long it took."""
    world.begin(state)
    start = time.perf_counter()
    code, said = world.call(arguments)
    seconds = time.perf_counter() - start
    assert code == 0, said
    return digest(world.place / "project"), seconds


def kill_tries(world: World, name: str, instants: int, stride: int, chance: random.Random) -> Iterator[Tally]:
    state, arguments = scenarios(world)[name]
    expected, seconds = expected_of(world, state, arguments)
    tally = Tally(f"killed at random instants: {name}")
    for _ in range(instants):
        world.begin(state)
        child = Child(world, arguments)
        after = chance.uniform(0, seconds)
        passed = child.kill(after)
        seconds = passed if passed < after else seconds * 1.05  # what else runs on this machine changes all the time
        code, _ = child.wait()
        judge(world, tally, name, arguments, expected, code)
    yield tally
    tally = Tally(f"killed at every step: {name}" if stride == 1 else f"killed at every {stride}th step: {name}")
    code = -signal.SIGKILL
    while code == -signal.SIGKILL:
        world.begin(state)
        code, _ = world.call(arguments, killed_at_step(tally.tries * stride))
        judge(world, tally, name, arguments, expected, code)
    yield tally


def judge(world: World, tally: Tally, name: str, arguments: list[str], expected: dict[str, str], code: int) -> None:
    """Count one fault and what it left."""
    tally.tries += 1
    tally.hit += code != 0
    project, home = world.place / "project", world.place / "home"
    found = problems(project, home)
    if name == "uninstall" and code == 0:
        found += [] if digest(project) == expected else ["an uninstall that ended well left something"]
    elif name == "uninstall":
        found += uninstall_completes(world, expected)
    else:
        found += after_completion(world, arguments, expected)
    tally.broken += [f"try {tally.tries}: {problem}" for problem in found]


def uninstall_completes(world: World, expected: dict[str, str]) -> list[str]:
    """Run a killed uninstall again, of what the lock still names."""
    lock = Lock.parse((world.place / "project/skillpm.lock").read_text())
    names = [entry.name for entry in lock.skills]
    return after_completion(world, ["uninstall", *names] if names else ["install"], expected)


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a file system of this many bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True, capture_output=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def can_mount(root: Path) -> bool:
    try:
        with small_disk(root / "probe", 4096):
            return True
    except (subprocess.CalledProcessError, OSError):
        return False


def full_disk_tries(world: World, where: str, step: int) -> Iterator[Tally]:
    """Fill the disk of the project or of the home at every size from nothing to enough."""
    for name, (state, arguments) in scenarios(world).items():
        expected, _ = expected_of(world, state, arguments)
        tally, size = Tally(f"full disk under the {where}: {name}"), occupied(world.states / state / where)
        code = 1
        while code:
            size += step
            code = full_disk_try(world, tally, where, size, state, arguments, expected)
        yield tally


def full_disk_try(
    world: World, tally: Tally, where: str, size: int, state: str, arguments: list[str], expected: dict[str, str]
) -> int:
    world.begin(state)
    shutil.move(world.place / where, world.root / "moved")
    project, home = world.place / "project", world.place / "home"
    with small_disk(world.place / where, size):
        shutil.copytree(world.root / "moved", world.place / where, dirs_exist_ok=True, symlinks=True)
        shutil.rmtree(world.root / "moved")
        before = digest(project)
        code, said = world.call(arguments)
        found = problems(project, home)
        if code and digest(project) != before:
            found.append(f"the project changed: {sorted(set(digest(project).items()) ^ set(before.items()))[:3]}")
        if code and (code != 6 or "No space left" not in said):
            found.append(f"it ended with {code}: {said[-300:]}")
        if code == 0 and digest(project) != expected:
            found.append("it ended well and left something else")
        tally.tries += 1
        tally.hit += code != 0
        subprocess.run(["mount", "-o", "remount,size=64m", str(world.place / where)], check=True, capture_output=True)
        if code:
            found += after_completion(world, arguments, expected)
    tally.broken += [f"{size} bytes: {problem}" for problem in found]
    return code


def occupied(folder: Path) -> int:
    """Return the bytes of a tmpfs that a folder's content takes."""
    return sum(-(-path.lstat().st_size // 4096) * 4096 for path in folder.rglob("*") if not path.is_dir())


def as_nobody() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def read_only_tries(world: World) -> Tally:
    """Take the right to write from the project, the store or the home, for a user who is not root."""
    tally = Tally("read-only project, store or home")
    world.root.chmod(0o755)
    for where in ("project", "home/skillpm/data/store", "home"):
        for name, (state, arguments) in scenarios(world).items():
            world.begin(state)
            (world.place / where).mkdir(parents=True, exist_ok=True)
            give_to_nobody(world.place)
            world.place.joinpath(where).chmod(0o555)
            before = digest(world.place / "project")
            code, said = world.call(arguments, as_nobody)
            tally.tries += 1
            tally.hit += code != 0
            found = problems(world.place / "project", world.place / "home")
            if code not in (0, 6) or "Traceback" in said or (code == 0 and where == "project"):
                found.append(f"{where}: {name} ended with {code}: {said[-300:]}")
            if code and digest(world.place / "project") != before:
                found.append(f"{where}: {name} was refused and changed the project")
            tally.broken += found
    return tally


def give_to_nobody(root: Path) -> None:
    if os.geteuid() == 0:
        for path in (root, *root.rglob("*")):
            os.lchown(path, 65534, 65534)


def at_once_tries(world: World, rounds: int, chance: random.Random) -> Iterator[Tally]:
    """Twenty installs of overlapping sets in one project, and in twenty projects that share a store."""
    for what in ("one project", "twenty projects and one store"):
        tally = Tally(f"twenty installs of overlapping sets at once: {what}")
        for _ in range(rounds):
            world.begin("empty")
            running = []
            for number in range(20):
                project = world.place / (f"project{number}" if what != "one project" else "project")
                project.mkdir(exist_ok=True)
                names = chance.sample(world.names, min(3, len(world.names)))
                running.append((Child(world, world.install("1.0", names), project=project), names, project))
            for child, names, project in running:
                code, said = child.wait()
                tally.tries += 1
                tally.hit += code != 0
                if code:
                    tally.broken.append(f"exit {code}: {said[-300:]}")
                missing = [name for name in names if not (project / FOLDER / name).is_dir()]
                tally.broken += [f"{name} is missing" for name in missing if not code]
            for project in world.place.glob("project*"):
                tally.broken += problems(project, world.place / "home")
        yield tally


def held_tries(world: World, rounds: int) -> Tally:
    """Kill whoever holds the project's and the store's lock; the next run must not wait."""
    tally = Tally("a holder of the locks is killed")
    state, arguments = scenarios(world)["update"]
    expected, _ = expected_of(world, state, arguments)
    for _ in range(rounds):
        world.begin(state)
        reader, writer = os.pipe()
        holder = Child(world, ["--version"], lambda writer=writer: hold_locks(writer))
        os.read(reader, 1)
        holder.kill()
        holder.wait()
        os.close(reader), os.close(writer)
        start = time.perf_counter()
        tally.tries += 1
        tally.hit += 1
        tally.broken += after_completion(world, arguments, expected)
        if time.perf_counter() - start > 60:
            tally.broken.append("the next run waited")
    return tally


def hold_locks(writer: int) -> None:
    from skillpm.storage.process_lock import ProcessLock

    home = Path(os.environ["SKILLPM_HOME"])
    locks = [ProcessLock(Path(".skillpm/lock")), ProcessLock(home / "data/store/lock")]
    for lock in locks:
        lock.exclusive()
    os.write(writer, b"x")
    time.sleep(600)


def publish_tries(world: World, instants: int, chance: random.Random) -> Iterator[Tally]:
    """Kill publishers while others publish, and let eight publish other bytes as one version."""
    turns = -(-instants // 8)
    tally, seconds = Tally("publishers killed while others publish the same skill"), 0.05
    for _ in range(turns):
        seconds = killed_publishers(world, tally, seconds, chance)
    yield tally
    tally = Tally("eight publish other bytes as one version: not exactly one wins")
    for _ in range(turns):
        with published(world, [{**files_of("busy", "1.0"), "who": str(n).encode()} for n in range(8)]) as shop:
            codes = sorted(child.wait()[0] for child in [Child(world, command) for command in shop.commands])
            tally.tries += 8
            tally.hit += sum(code != 0 for code in codes)
            tally.broken += [] if codes == [0, *[5] * 7] else [f"exit codes {codes}"]
            tally.broken += registry_problems(shop.registry, {"1.0"})
    yield tally


def killed_publishers(world: World, tally: Tally, seconds: float, chance: random.Random) -> float:
    """Kill eight publishers one after the other while eight more go on; what was said to be published must be there.

    Returns how long a publisher takes, as far as was seen.
    """
    with published(world, [files_of("busy", f"1.{number}") for number in range(16)]) as shop:
        others = [Child(world, command) for command in shop.commands[8:]]
        victims = []
        for command in shop.commands[:8]:
            victims.append(Child(world, command))
            after = chance.uniform(0, seconds)
            passed = victims[-1].kill(after)
            seconds = passed if passed < after else seconds * 1.05
        ends = [child.wait() for child in (*victims, *others)]
        tally.tries += 8
        tally.hit += sum(code == -signal.SIGKILL for code, _ in ends)
        tally.broken += [f"exit {code}: {text[-300:]}" for code, text in ends if code not in (0, -signal.SIGKILL)]
        said = {f"1.{number}" for number, (code, _) in enumerate(ends) if code == 0}
        tally.broken += registry_problems(shop.registry, said)
        for command in shop.commands[:8]:
            code, text = world.call(command)
            tally.broken += [f"publishing again: {text[-300:]}"] if code else []
        tally.broken += registry_problems(shop.registry, {f"1.{number}" for number in range(16)})
    return seconds


@dataclass(frozen=True)
class Shop:
    """A registry of its own, and the commands that publish one skill's folder each to it."""

    registry: Path
    commands: list[list[str]]


@contextlib.contextmanager
def published(world: World, skills: Sequence[dict[str, bytes]]) -> Iterator[Shop]:
    world.begin("empty")
    with tempfile.TemporaryDirectory(dir=world.root) as folder:
        registry = Path(folder, "registry")
        write_registry(registry, [])
        commands = []
        for number, files in enumerate(skills):
            source = Path(folder, str(number), "busy")
            write_files(source, files)
            commands.append(["publish", str(source), "--registry", str(registry)])
        yield Shop(registry, commands)


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def registry_problems(root: Path, published: set[str]) -> list[str]:
    """Return what is wrong with a registry in which at least these versions of ``busy`` were said to be published."""
    index = FolderRegistry(root, "registry")
    page = index.page("busy")
    releases = {release.version: release for release in (page.releases if page else ())}
    found = [f"{version} was lost" for version in sorted(published - set(releases))]
    held = [(release, read_archive(index.archive("busy", release))) for release in releases.values()]
    wrong = [release for release, tree in held if tree_digest(tree) != release.tree]
    return found + [f"{release.version} has another content" for release in wrong]


def disk_tries(world: World, step: int) -> Iterator[Tally]:
    if not can_mount(world.root):
        print("full disk: not tried, since this user may not mount a file system")
        return
    for where in ("home", "project"):
        yield from full_disk_tries(world, where, step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    faults = ["kill", "disk", "rights", "at-once", "held", "publish"]
    parser.add_argument("--only", choices=faults, nargs="+", default=faults, help="these faults")
    parser.add_argument("--instants", type=int, default=200, help="random instants of each kind")
    parser.add_argument("--stride", type=int, default=1, help="kill at every n-th step")
    parser.add_argument("--skills", type=int, default=8)
    parser.add_argument("--step", type=int, default=4096, help="bytes between two sizes of a disk")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    print(f"{'what':<62} {'tries':>6} {'hit':>6} {'broken':>7}")
    memory = Path("/dev/shm")  # a kill loses nothing that was written, so no fault here needs a slow disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        world = World(Path(folder), options.skills)
        broken = 0
        for tally in tallies(world, options):
            print(tally.row(), flush=True)
            for problem in tally.broken[:5]:
                print(f"    {problem}")
            broken += len(tally.broken)
    print(json.dumps({"broken": broken}))
    raise SystemExit(1 if broken else 0)


def tallies(world: World, options: argparse.Namespace) -> Iterator[Tally]:
    chance, instants = random.Random(options.seed), options.instants
    kills = (kill_tries(world, name, instants, options.stride, chance) for name in scenarios(world))
    faults: dict[str, Iterable[Tally]] = {
        "kill": itertools.chain.from_iterable(kills),
        "disk": disk_tries(world, options.step),
        "rights": (read_only_tries(world) for _ in range(1)),
        "at-once": at_once_tries(world, max(1, instants // 50), chance),
        "held": (held_tries(world, max(1, instants // 20)) for _ in range(1)),
        "publish": publish_tries(world, instants, chance),
    }
    for name, found in faults.items():
        if name in options.only:
            yield from found


if __name__ == "__main__":
    main()
