"""The project fixture: ``project(files).run("install", "x") -> Outcome``, in a subprocess-free, isolated home."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

gc.disable()  # until all tests are collected: half of the time of collecting is spent on looking for garbage
pytest_plugins = ["tests.chat", "tests.shop", "tests.skill_code", "tests.scripted_policy"]
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)
settings.load_profile("default")

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest has more workers than there are cores: one thread for each
ROOT = Path(__file__).parent.parent
SKILLS = ROOT / "skills"


def pytest_xdist_auto_num_workers() -> int:
    """Return the workers of ``-n auto``: two more than cores, because tests wait for disks and processes.

    Each one collects all tests, which takes as long as a fiftieth of the whole run.
    """
    return (os.cpu_count() or 1) + 2


def pytest_collection_finish() -> None:
    """Let the collector pass over modules and tests, which stay: a full collection takes a second otherwise."""
    gc.enable()
    gc.freeze()


@dataclass(frozen=True)
class Outcome:
    """What a command did; its repr explains a failing assertion."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str
    cwd: Path

    @property
    def document(self) -> Any:
        """stdout, read as one JSON document."""
        return json.loads(self.out)

    def ok(self) -> Outcome:
        """Assert exit 0 and return self."""
        assert self.code == 0, self
        return self

    def fails(self, code: int, *texts: str) -> Outcome:
        """Assert this exit code, no traceback, and these texts on stderr."""
        assert self.code == code, self
        assert "Traceback" not in self.err, self
        for text in texts:
            assert text in self.err, self
        return self

    def __repr__(self) -> str:
        command = f"skillpm {' '.join(self.arguments)}"
        return f"{command}\nin {self.cwd}\nexit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


def write_tree(root: Path, files: Mapping[str, Any]) -> Path:
    """Write a dict of files: text, bytes, or a nested dict for a folder; ``name*`` makes the file executable."""
    for name, content in files.items():
        path = root / name.removesuffix("*")
        if isinstance(content, Mapping):
            path.mkdir(parents=True, exist_ok=True)
            write_tree(path, content)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o755 if name.endswith("*") else 0o644)
    return root


class _Stream(io.BytesIO):
    """The bytes of a standard stream."""

    name = "<stdin>"


@contextlib.contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Have these variables and no others."""
    before = {**os.environ}
    _set_environment(before, wanted)
    try:
        yield
    finally:
        _set_environment({**os.environ}, before)


def _set_environment(present: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Write what differs alone: commands run some thousand times."""
    for name in present.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted.items() - present.items())


@contextlib.contextmanager
def importing_from(path: str) -> Iterator[None]:
    """Import from the folders of a PYTHONPATH too; afterwards, forget the modules that came from there."""
    before, added = [*sys.path], [folder for folder in path.split(os.pathsep) if folder and folder not in sys.path]
    if not added:  # a look at all modules takes as long as a small command
        yield
        return
    sys.path[:0] = added
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
        for name, module in [*sys.modules.items()]:
            if (getattr(module, "__file__", None) or "").startswith(tuple(f"{folder}/" for folder in added)):
                del sys.modules[name]


@dataclass(frozen=True)
class Project:
    """A project folder with a home of its own."""

    root: Path
    environment: Mapping[str, str]

    def write(self, files: Mapping[str, Any]) -> Project:
        """Add files."""
        write_tree(self.root, files)
        return self

    def run(
        self,
        *arguments: str | Path,
        stdin: str | bytes | None = None,
        cwd: Path | None = None,
        patience: float = 110,
        **environment: str,
    ) -> Outcome:
        """Run skillpm in a process of its own, for at most ``patience`` seconds."""
        words = tuple(str(argument) for argument in arguments)
        done = subprocess.run(
            [sys.executable, "-m", "skillpm", *words],
            cwd=cwd or self.root,
            env={**self.environment, **environment},
            input=stdin.encode() if isinstance(stdin, str) else (stdin or b""),
            capture_output=True,
            timeout=patience,
        )
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return Outcome(words, done.returncode, out, err, cwd or self.root)

    def call(
        self, *arguments: str | Path, stdin: str | None = None, cwd: Path | None = None, **environment: str
    ) -> Outcome:
        """Run skillpm in this process, which is much faster: for all but signals, streams and start-up."""
        from skillpm.cli.main import run

        words = [str(argument) for argument in arguments]
        place, code = cwd or self.root, 0
        raw = [_Stream(text.encode()) for text in (stdin or "", "", "")]
        streams = [io.TextIOWrapper(stream, "utf-8") for stream in raw]
        with (
            _environment({**self.environment, **environment}),
            mock.patch.multiple(sys, stdin=streams[0], stdout=streams[1], stderr=streams[2]),
            importing_from(environment.get("PYTHONPATH", "")),
            mock.patch.multiple(logging.getLogger("skillpm.hooks"), handlers=[], level=logging.NOTSET),
            contextlib.chdir(place),
        ):
            try:
                run(words)
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 0
        _, out, err = (stream.getvalue().decode(errors="replace") for stream in raw)
        return Outcome(tuple(words), code, out, err, place)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Callable[..., Project]]:
    """Return ``project(files) -> Project``; two calls in one test share the home (and so the store)."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("SKILLPM_")},
        "HOME": str(home),
        "SKILLPM_HOME": str(home / "skillpm"),
        "NO_COLOR": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",
    }
    made: list[Path] = []

    def make(files: Mapping[str, Any] | None = None) -> Project:
        root = tmp_path / f"project{len(made) or ''}"
        root.mkdir()
        made.append(root)
        return Project(write_tree(root, files or {}), environment)

    yield make


@pytest.fixture(autouse=True)
def _environment_is_left_alone() -> Iterator[None]:
    others = ("PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR", "RAY_CLIENT_MODE")  # pytest, torch and ray set them
    before = {name: value for name, value in os.environ.items() if name not in others}
    yield
    after = {name: value for name, value in os.environ.items() if name not in others}
    assert after == before, "a test changed os.environ"
