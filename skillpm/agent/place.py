"""Where a tool runs, with which programs, and what it may not read there."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skillpm.errors import PolicyError, UsageError
from skillpm.formats.typed_path import typed_path
from skillpm.model.contract import Tool
from skillpm.model.manifest import Permissions
from skillpm.sandbox.sandbox import Sandbox

_SECRETS = (".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".git-credentials", ".npmrc", ".pypirc",
            ".config/gcloud", ".config/gh")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where and with what a tool runs.

    Attributes:
        folder: where it starts.
        writes: may it write there?
        secrets: files and folders that it never reads, besides the usual ones of the home folder.
    """

    folder: Path
    writes: bool
    permissions: Permissions
    sandbox: Sandbox
    secrets: tuple[Path, ...] = ()

    @property
    def hidden(self) -> list[Path]:
        """The secrets that are there, without links."""
        named = (*(typed_path("~") / name for name in _SECRETS), *self.secrets)
        return sorted({path.resolve() for path in named if os.path.exists(path)})  # noqa: PTH110  no error where one may not look

    @property
    def sentence(self) -> str:
        """What it may do, in words."""
        network = "the network" if self.permissions.network else "no network"
        return f"{self.folder}, {'which it may change' if self.writes else 'read only'}, {network}"

    def of(self, tool: Tool, arguments: Mapping[str, Any]) -> Place:
        """Return where a tool would run: in the folder that ``working_directory`` of its arguments names, or here."""
        named = None if "working_directory" in tool.argv_arguments else arguments.get("working_directory")
        folder = self.folder
        if isinstance(named, str):
            folder = folder / named
            with contextlib.suppress(OSError, ValueError):  # `check` refuses what is not there
                folder = folder.resolve(strict=True)  # a person sees, and a tool gets, the folder behind links
        return replace(self, folder=folder, writes=not tool.read_only)

    def program(self, name: str) -> Path:
        """Return the program of a command. Raises PolicyError if skill.yaml does not name it, or it is not on PATH."""
        if name not in self.permissions.run or "/" in name:
            raise PolicyError(
                f"`{name[:80]}` is not permitted: `permissions.run` of skill.yaml does not name it",
                hint="ask the skill's author, or run the command yourself",
            )
        found = shutil.which(name, path=search_path())
        if found is None:
            raise PolicyError(f"`{name[:80]}` is not on PATH", hint=f"install {name[:80]}")
        return Path(found)

    @property
    def startable(self) -> list[Path]:
        """The permitted programs that are on PATH, each with what its first line starts."""
        found = (shutil.which(name, path=search_path()) for name in self.permissions.run)
        return [step for program in found if program for step in _interpreters(Path(program))]

    def check(self, argv: Sequence[tuple[str, ...]]) -> list[Path]:
        """Return the program of each command.

        Raises:
            PolicyError: a program is not permitted, or not on PATH, or nothing but its arguments keeps it from secrets.
            UsageError: the folder is missing, or a tool that writes would start in the root or the home folder, or
                above secrets that only bubblewrap can hide there.
        """
        if not os.path.isdir(self.folder):  # noqa: PTH112  no error for a name that no folder can have
            raise UsageError(f"{str(self.folder)[:200]} is not a folder", hint="name one that exists")
        if self.writes and self.folder.resolve() in (Path("/"), typed_path("~").resolve()):
            raise UsageError(f"a tool that writes does not start in {self.folder}", hint="run skillpm in a project")
        if self.sandbox.level != "bubblewrap":
            self._check_secrets(argv)
        return [self.program(words[0]) for words in argv]

    def _check_secrets(self, argv: Sequence[tuple[str, ...]]) -> None:
        """Refuse what Landlock cannot hide below a writable folder, and what nothing hides at ``limits``."""
        folder, hidden = self.folder.resolve(), self.hidden
        if self.writes and any(path.is_relative_to(folder) for path in hidden):
            raise UsageError(
                f"a tool that writes does not start in {self.folder}, which holds secrets",
                hint="install bubblewrap, or run skillpm in another folder",
            )
        written = [word for words in argv for word in words[1:]]
        for word in (*written, *(value for _, _, value in (text.partition("=") for text in written) if value)):
            with contextlib.suppress(OSError, ValueError):  # not a path
                path = (folder / word).resolve()
                if any(path.is_relative_to(secret) for secret in hidden):
                    raise PolicyError(f"`{word[:200]}` is a secret, which tools do not read", hint="name another file")


def _interpreters(program: Path) -> list[Path]:
    """Return a program and, for a script, what its first line starts: ``#!/usr/bin/env python3`` starts two."""
    chain = [program]
    with contextlib.suppress(OSError, UnicodeDecodeError):
        with program.open("rb") as file:
            line = file.readline(256)
        words = line[2:].decode().split() if line.startswith(b"#!") else []
        if words:
            chain.append(Path(words[0]))
            if Path(words[0]).name == "env":
                named = next((word for word in words[1:] if not word.startswith("-")), "")
                chain += [Path(found)] if (found := shutil.which(named, path=search_path())) else []
    return chain


def search_path() -> str:
    """Return PATH without relative folders: what lies in the working folder is not a program."""
    return os.pathsep.join(
        folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(folder).is_absolute()
    )
