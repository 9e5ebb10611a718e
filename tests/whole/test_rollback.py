"""Whatever write fails, and at whatever moment, an install leaves the project as it was, or as it was asked for."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skillpm.clients.table import UNIVERSAL
from skillpm.errors import SkillpmError
from skillpm.ops.context import Context
from skillpm.ops.project.asked import Asked
from skillpm.ops.project.install import InstallOptions, install
from skillpm.ops.project.sync import sync, update
from skillpm.ops.project.uninstall import uninstall
from skillpm.settings import load_settings
from skillpm.storage import swap
from tests.shop import publish, skill_files

WRITES = ("open", "write", "fsync", "rename", "replace", "mkdir", "symlink")
BOTH = InstallOptions([UNIVERSAL, ".claude/skills"])
FILE = "project: 1\nrequires:\n  alpha: '*'\n  beta: '<2'  # old\n"


class Fault:
    """Lets the first ``after`` changes of the disk below a folder succeed, and the next one fail once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path, after: int) -> None:
        self.left = after
        self.struck = ""
        self._root = str(root)
        self._descriptors: dict[int, str] = {}
        for name in WRITES:
            monkeypatch.setattr(os, name, self._guarded(name, getattr(os, name)))
        monkeypatch.setattr(swap, "exchange", self._guarded("exchange", swap.exchange))

    def _guarded(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            place = self._place(name, arguments, options.get("dir_fd"))
            if place and not self.struck:
                self.left -= 1
                if self.left < 0:
                    self.struck = f"{name} {place}"
                    raise OSError(errno.ENOSPC, "No space left on device", place)
            result: Any = (
                None if name == "fsync" else call(*arguments, **options)
            )  # the disk's own speed is not at issue
            if name == "open":
                self._descriptors[result] = self._full(arguments[0], options.get("dir_fd"))
            return result

        return guarded

    def _full(self, path: Any, folder: int | None) -> str:
        return os.path.join(self._descriptors.get(folder or 0, ""), os.fspath(path))  # noqa: PTH118

    def _place(self, name: str, arguments: tuple[Any, ...], folder: int | None) -> str:
        """Return which path of the project a call changes; nothing for what is only read."""
        if name in ("write", "fsync"):
            place = self._descriptors.get(arguments[0], "")
        elif name == "mkdir":
            place = self._full(arguments[0], folder)
            place = "" if Path(place).is_dir() else place
        elif name == "open":
            place = self._full(arguments[0], folder) if len(arguments) > 1 and arguments[1] & os.O_CREAT else ""
        else:
            place = os.fspath(arguments[1] if name in ("symlink", "exchange") else arguments[0])
        return place if place.startswith(self._root) and not place.endswith("/.skillpm/lock") else ""


def everything(root: Path) -> dict[str, bytes | str | None]:
    """Every file, link and folder of a project, locks between processes left out."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name in (".skillpm", ".skillpm/lock"):
            continue
        found[name] = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return found


def build(root: Path) -> Callable[[], Context]:
    """Make a project with alpha 1.0 and beta 1.0 in two agents' folders, and newer releases to take."""
    publish(root / "shop", skill_files("alpha"), skill_files("beta"), skill_files("gamma"))
    (root / "project").mkdir()
    (root / "project/skillpm.yaml").write_text(FILE)

    def context() -> Context:
        environment = {"SKILLPM_HOME": str(root / "home"), "SKILLPM_REGISTRIES": str(root / "shop")}
        return Context(load_settings(project=root / "project", environment=environment))

    sync(context(), BOTH)
    publish(root / "shop", skill_files("alpha", "2.0", body="newer\n"), skill_files("beta", "1.5"))
    return context


def edit(root: Path) -> None:
    (root / "project" / UNIVERSAL / "alpha/SKILL.md").write_text("mine\n")


ACTIONS: dict[str, Callable[[Context], object]] = {
    "update": lambda context: update(context, (), InstallOptions()),
    "install": lambda context: install(context, Asked.read(["gamma", "alpha>=2"]), InstallOptions([".goose/skills"])),
    "uninstall": lambda context: uninstall(context, ["beta"], InstallOptions()),
    "links": lambda context: sync(context, InstallOptions(link="symlink")),
    "force": lambda context: update(context, (), InstallOptions(force=True)),
}


def attempts(root: Path, action: str, exchange: bool) -> Iterator[str]:
    """Let each write of an action fail in turn, until none is left; yield what failed.

    One project serves for all: each failure must leave it as it was.
    """
    context = build(root)
    if action == "force":
        edit(root)
    before = everything(root / "project")
    for after in range(500):
        with pytest.MonkeyPatch.context() as patch:
            if not exchange:
                patch.setattr(swap, "_renameat2", lambda: None)
            fault = Fault(patch, root / "project", after)
            try:
                ACTIONS[action](context())
            except SkillpmError as error:
                assert "No space left on device" in error.message, fault.struck
            else:
                assert not fault.struck, f"{fault.struck} failed, and nobody noticed"
                assert everything(root / "project") != before
                return
        assert everything(root / "project") == before, fault.struck
        yield fault.struck
    raise AssertionError("the action never ends")


@pytest.mark.attack(68)
@pytest.mark.parametrize(
    ("action", "exchange"),
    [
        *(pytest.param(name, True, id=f"{name}-exchange") for name in ACTIONS),
        *(
            pytest.param(name, False, id=f"{name}-two renames", marks=() if name == "install" else pytest.mark.slow)
            for name in ACTIONS
        ),
    ],
)
def test_a_failure_at_any_write_leaves_the_project_byte_for_byte_as_it_was(
    tmp_path: Path, action: str, exchange: bool
) -> None:
    struck = list(attempts(tmp_path, action, exchange))
    last = "installed.json" if action == "links" else "skillpm.lock"
    assert any(last in place for place in struck), "the last write was among them"
    assert any(UNIVERSAL in place for place in struck)
