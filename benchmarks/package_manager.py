"""The package manager beside its peers: start-up, install, sync, HTTP, verify, validate, resolve; one table.

Peers are installed by their own clients into a throw-away folder; whoever cannot be had is named with the reason.
Skills are made, three files each. Everything lies on the fastest folder there is (/dev/shm where it exists), with a
fresh home and a fresh project for every run. A figure is the least of several runs, and the runs of the peers and ours
take turns, so that other work on the machine troubles them alike. ``wall`` counts what a person waits, with the start
of the process; ``cpu`` counts user and system seconds of the process and its children, which hardly depend on what else
runs. ``cp -r`` and ``sha256sum`` are floors: they do none of the work but the copying and the hashing.

Run: ``python benchmarks/package_manager.py [--skills 1 100 1000] [--runs 5] [--clock wall] [--only install …]``
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "parts")]

from made_skills import make_repository, make_skills, make_wheels  # noqa: E402
from peers import PEERS, take  # noqa: E402
from server import served  # noqa: E402

VALIDATE = (
    "import sys, pathlib, skills_ref\nfor folder in pathlib.Path(sys.argv[1]).iterdir(): skills_ref.validate(folder)"
)
FLOOR = 'find "$@" -type f -print0 | xargs -0 sha256sum'
APM_MOST = 100  # skills; it takes minutes beyond
QUIET = {"CI": "1", "DO_NOT_TRACK": "1", "DISABLE_TELEMETRY": "1", "NO_COLOR": "1", "GH_TOKEN": "none"}


@dataclass(frozen=True)
class Work:
    """One command to time.

    Attributes:
        words: the command line.
        before: what is done first, untimed, in the same fresh place.
        code: the exit code that is expected.
        project: the folder in which it runs, which is kept; a fresh one where None.
        environment: variables beside the usual ones.
    """

    words: Sequence[str]
    before: Callable[[Path, Mapping[str, str]], None] | None = None
    code: int = 0
    project: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class BatchJudge:
    """Times commands in fresh places and prints the table.

    Args:
        scratch: where everything lies.
        runs: of each command.
        clock: ``wall`` or ``cpu``.
        programs: how the peers are called.
    """

    def __init__(self, scratch: Path, runs: int, clock: str, programs: Mapping[str, list[str]]) -> None:
        self.scratch = scratch
        self.runs = runs
        self.clock = clock
        self.programs = programs
        self.failed: dict[str, str] = {}

    def compare(self, what: str, ours: Work, theirs: Mapping[str, Work], goal: float | None = None) -> None:
        """Time all of them, taking turns, and print a row for each peer; one that fails is named at the end."""
        works = {"": ours, **theirs}
        times: dict[str, list[float]] = defaultdict(list)
        for _ in range(self.runs):
            for name, work in list(works.items()):
                try:
                    times[name].append(self._timed(work))
                except RuntimeError as error:
                    if not name:
                        raise SystemExit(f"{what}: {error}") from None
                    self.failed[f"{name}, {what}"] = str(error)
                    del works[name]
        least = {name: min(times[name]) for name in works}
        for name in list(works)[1:] or ["-"]:
            row(what, name, least.get(name), least[""], goal)

    def _timed(self, work: Work) -> float:
        place = Path(tempfile.mkdtemp(dir=self.scratch))
        (place / "project").mkdir()
        (place / "home").mkdir()
        environment = self.environment(place / "home", work.environment)
        project = work.project or place / "project"
        if work.before is not None:
            work.before(project, environment)
        try:
            return self._seconds(work, project, environment)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def environment(self, home: Path, more: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of a command that knows this home only."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SKILLPM", "XDG"))}
        ours = {"SKILLPM_HOME": str(home / "skillpm"), "PYTHONPATH": str(ROOT)}
        bytecode = {"PYTHONPYCACHEPREFIX": str(self.scratch / "bytecode")}  # as pip leaves it: compiled once
        return {**kept, **QUIET, "HOME": str(home), **ours, **bytecode, **more}

    def _seconds(self, work: Work, project: Path, environment: Mapping[str, str]) -> float:
        used, start = _processor_seconds(), time.perf_counter()
        done = subprocess.run(
            work.words, cwd=project, env=environment, capture_output=True, text=True, errors="replace"
        )
        seconds = time.perf_counter() - start if self.clock == "wall" else _processor_seconds() - used
        if done.returncode != work.code:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise RuntimeError(f"exit {done.returncode}: {said[-1][:160] if said else 'nothing was said'}")
        return seconds


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(what: str, peer: str, theirs: float | None, ours: float, goal: float | None) -> None:
    """Print one line of the table."""
    shown, ratio = ("-", "-") if theirs is None else (f"{theirs:.3f}", f"{ours / theirs:.2f}x")
    if theirs == math.inf:
        shown, ratio = "too long", "-"
    print(f"{what:<44} {peer:<13} {shown:>9} {ours:>9.3f} {ratio:>9} {goal or '-':>6}", flush=True)


def skillpm(*words: object) -> list[str]:
    return [sys.executable, "-m", "skillpm", *map(str, words)]


def start_up(bench: BatchJudge, options: argparse.Namespace) -> None:
    theirs = {name: Work([*words, "--version"]) for name, words in bench.programs.items() if name != "skills-ref"}
    theirs["python -c ''"] = Work([sys.executable, "-c", ""])
    bench.compare("start-up: --version", Work(skillpm("--version")), theirs, 0.1)
    bench.compare("start-up: --help", Work(skillpm("--help")), {}, 0.1)


def install(bench: BatchJudge, options: argparse.Namespace) -> None:
    goals = {1: 0.2, 100: 0.35, 1000: 1.2}
    for count in options.skills:
        source = bench.scratch / f"source{count}"
        paths = [f"{path}/" for path in make_skills(source / "skills", count)]
        make_repository(source)
        theirs = {"cp -r": Work(["cp", "-r", str(source / "skills"), "."]), **_installers(bench, source, count)}
        bench.compare(f"install {count} local skills", Work(skillpm("install", *paths)), theirs, goals.get(count))


def _installers(bench: BatchJudge, source: Path, count: int) -> dict[str, Work]:
    everywhere = {
        "gh skill": ["skill", "install", source, "--from-local", "--all", "--agent", "claude-code"],
        "npx skills": ["add", source, "--skill", "*", "-a", "claude-code", "-y", "--copy"],
        "openskills": ["install", source, "-y"],
    }
    works = {
        name: Work([*bench.programs[name], *map(str, words)], before=_as_repository)
        for name, words in everywhere.items()
        if name in bench.programs
    }
    if "apm" in bench.programs and count <= APM_MOST:
        works["apm"] = Work([*bench.programs["apm"], "install"], before=_apm_project(source))
    return works


def _as_repository(project: Path, environment: Mapping[str, str]) -> None:
    """Make the project a repository: some managers refuse any other folder."""
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)


def _apm_project(source: Path) -> Callable[[Path, Mapping[str, str]], None]:
    """Return what writes a project file of apm's that requires each skill by its path."""

    def write(project: Path, environment: Mapping[str, str]) -> None:
        shutil.copytree(source / "skills", project / "src")
        (project / ".claude").mkdir()
        paths = "".join(f"    - ./src/{path.name}\n" for path in sorted((project / "src").iterdir()))
        (project / "apm.yml").write_text(
            f"name: bench\nversion: 1.0.0\ntargets: [claude]\ndependencies:\n  apm:\n{paths}"
        )

    return write


def frozen(bench: BatchJudge, options: argparse.Namespace) -> None:
    count = min(100, max(options.skills))
    source = bench.scratch / "frozen"
    make_skills(source / "skills", count)

    def required(project: Path, environment: Mapping[str, str]) -> None:
        names = (path.name for path in sorted((source / "skills").iterdir()))
        lines = "".join(f"  {name}: {{path: {source / 'skills' / name}}}\n" for name in names)
        (project / "skillpm.yaml").write_text(f"project: 1\nrequires:\n{lines}")
        _quietly(skillpm("sync"), project, environment)

    theirs = {}
    if "apm" in bench.programs:
        write, apm = _apm_project(source), bench.programs["apm"]

        def installed(project: Path, environment: Mapping[str, str]) -> None:
            write(project, environment)
            _quietly([*apm, "install"], project, environment)

        theirs["apm"] = Work([*apm, "install", "--frozen"], before=installed)
    what = f"sync --frozen of {count}: nothing to do"
    bench.compare(what, Work(skillpm("sync", "--frozen"), before=required), theirs, 0.15)


def _quietly(words: Sequence[str], project: Path, environment: Mapping[str, str]) -> None:
    subprocess.run(words, cwd=project, env=environment, capture_output=True, check=True)


def http(bench: BatchJudge, options: argparse.Namespace) -> None:
    from skillpm.layout.tree import FolderTree
    from tests.shop import write_registry

    count, site = min(100, max(options.skills)), bench.scratch / "site"
    folders = make_skills(bench.scratch / "published", count)
    write_registry(site / "registry", [FolderTree(folder) for folder in folders])
    make_wheels(site, count)
    wheels = [f"bench-wheel-{number:04d}" for number in range(count)]
    with served(site) as url:
        index = ["--no-deps", "--index-url", f"{url}/simple", "--target", "site", *wheels]
        words = {"": skillpm("install", *(folder.name for folder in folders), "--registry", f"{url}/registry")}
        if "uv" in bench.programs:
            words["uv"] = [*bench.programs["uv"], "pip", "install", "-q", "--no-config", *index]
        if "pip" in bench.programs:
            words["pip"] = [*bench.programs["pip"], "install", "-q", *index]
        cold = {name: Work(line, environment=_caches("")) for name, line in words.items()}
        bench.compare(f"install {count} over HTTP, cold", cold.pop(""), cold, 0.35)
        with _kept_homes(bench, words) as warm:
            bench.compare(f"install {count} over HTTP, warm", warm.pop(""), warm, 0.15)


def _caches(home: str) -> dict[str, str]:
    """Return where the three keep what they have downloaded; in the fresh home where that is empty."""
    kept = {"SKILLPM_HOME": home, "UV_CACHE_DIR": home, "PIP_CACHE_DIR": home} if home else {}
    return {**kept, "PIP_CONFIG_FILE": os.devnull}


@contextlib.contextmanager
def _kept_homes(bench: BatchJudge, words: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Work]]:
    """Give the same commands with caches that a first run has filled; each run has a new project."""
    homes = {name: tempfile.mkdtemp(dir=bench.scratch) for name in words}
    for name, line in words.items():
        with tempfile.TemporaryDirectory(dir=bench.scratch) as project:
            environment = bench.environment(Path(homes[name]), _caches(homes[name]))
            _quietly(line, Path(project), environment)
    yield {name: Work(line, environment=_caches(homes[name])) for name, line in words.items()}


def verify(bench: BatchJudge, options: argparse.Namespace) -> None:
    count, place = max(options.skills), bench.scratch / "verified"
    paths = [f"{path}/" for path in make_skills(place / "source", count)]
    (place / "project").mkdir()
    environment = {"SKILLPM_HOME": str(place / "home")}
    _quietly(skillpm("install", *paths), place / "project", bench.environment(place / "home", environment))
    folders = [str(place / "home/data/store/tree-v1"), str(place / "project/.agents/skills")]

    def ours(words: Sequence[str], code: int = 0) -> Work:
        return Work(skillpm("verify", *words), code=code, project=place / "project", environment=environment)

    floor = {"sha256sum": Work(["sh", "-c", FLOOR, "sh", *folders])}
    bench.compare(f"verify {count} skills, all whole", ours([]), floor)
    bench.compare(f"verify one of {count} skills", ours(["bench-skill-0000"]), {})
    with (place / "project/.agents/skills/bench-skill-0000/SKILL.md").open("a") as file:
        file.write("edited\n")
    bench.compare(f"verify {count} skills, one edited", ours([], 1), floor)


def validate(bench: BatchJudge, options: argparse.Namespace) -> None:
    count, root = max(options.skills), bench.scratch / "validated"
    make_skills(root, count)
    theirs = {}
    if "skills-ref" in bench.programs:  # its command takes one skill; its function, here, any number
        theirs["skills-ref"] = Work(
            [str(Path(bench.programs["skills-ref"][0]).with_name("python")), "-c", VALIDATE, str(root)]
        )
    what = f"validate {count} skills, every file"
    bench.compare(what, Work(skillpm("validate", "--level", "strict", root)), theirs, 0.5)


def resolution(bench: BatchJudge, options: argparse.Namespace) -> None:
    from resolve import compared

    python = None
    with contextlib.suppress(subprocess.CalledProcessError):
        folder = bench.scratch / "resolvelib"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "-q", "resolvelib"], check=True, capture_output=True)
        python = folder / "bin/python"
    ours: dict[str, list[float]] = defaultdict(list)
    theirs: dict[tuple[str, str], list[float]] = defaultdict(list)
    for kind, peers, mine in compared(options.seeds, options.runs, python, options.patience):
        ours[kind].append(mine)
        for name, seconds in peers.items():
            theirs[kind, name].append(seconds)
    for (kind, name), seconds in theirs.items():
        late = sum(math.isinf(one) for one in seconds)
        label = f"{name} ({late} late)" if late else name
        row(f"resolve, {kind}", label, statistics.median(seconds), statistics.median(ours[kind]), 0.05)
        row("  the slowest of them", label, max(seconds), max(ours[kind]), 1.0)


SECTIONS: dict[str, Callable[[BatchJudge, argparse.Namespace], None]] = {
    "start-up": start_up,
    "install": install,
    "frozen": frozen,
    "http": http,
    "verify": verify,
    "validate": validate,
    "resolve": resolution,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skills", type=int, nargs="+", default=[1, 100, 1000], help="how many are installed")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--only", choices=SECTIONS, nargs="+", default=list(SECTIONS))
    parser.add_argument("--peers", choices=PEERS, nargs="*", default=list(PEERS))
    parser.add_argument("--seeds", type=int, default=3, help="registries of each kind that are resolved")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds that resolvelib is given")
    options = parser.parse_args()
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=base) as folder:
        programs, reasons = take(Path(folder, "peers"), options.peers)
        bench = BatchJudge(Path(folder), options.runs, options.clock, programs)
        load = os.getloadavg()[0]
        print(f"{options.clock} seconds, the least of {options.runs} runs; load {load:.1f} on {os.cpu_count()} cores")
        print(f"{'what':<44} {'peer':<13} {'peer s':>9} {'ours s':>9} {'ratio':>9} {'goal':>6}", flush=True)
        for name in options.only:
            SECTIONS[name](bench, options)
    for name, reason in reasons.items():
        print(f"not measured: {name}: {reason}")
    for name, reason in bench.failed.items():
        print(f"failed: {name}: {reason}")
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
