"""Loading what a skill brings as Python. Imported by ``worker`` alone, so it runs in a confined process only.

Only sources are loaded, for they are what a person looked at: bytecode, whatever its header claims, is never read.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.errors import PluginError
from skillpm.hookspecs import hookimpl
from skillpm.model.ports import Attempt, Verifier
from skillpm.model.skill import Skill
from skillpm.model.verdict import Verdict


class _SourceLoader(SourceFileLoader):
    """Compiles the source each time: where a source has no status, importlib looks for no bytecode."""

    def path_stats(self, path: Any) -> Any:
        raise OSError(f"the bytecode of {path} is not used")

    def get_data(self, path: Any) -> bytes:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return file.read()


def import_from(root: Path) -> None:
    """Let a skill's code import its own modules, those of all others first: none of its files can stand in for them."""

    def finder(path: str) -> FileFinder:
        if not Path(path).is_relative_to(root):
            raise ImportError(f"{path} is not of the skill")
        return FileFinder(path, (_SourceLoader, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, finder)
    sys.path.append(str(root))


def load_module(skill: Skill, name: str) -> ModuleType:
    """Execute a file of the skill as a module under a private name; it stays in ``sys.modules``.

    Raises:
        PluginError: it cannot be imported.
    """
    path = skill.root / name
    private = f"_skillpm_{skill.tree[:16]}_{Path(name).stem}"
    spec = importlib.util.spec_from_file_location(private, path, loader=_SourceLoader(private, str(path)))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[private] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # noqa: BLE001 - sys.exit and KeyboardInterrupt are its failures too
        del sys.modules[private]
        raise PluginError(
            f"{skill.name}/{name} cannot be imported: {type(error).__name__}: {error}"[:800], plugin=name
        ) from None
    return module


class _ModuleVerifier:
    """``verify(attempts, contract)`` of verifier.py as a Verifier, and its ``observe(attempt, contract)``, if any.

    What they return is checked by the caller.
    """

    def __init__(self, module: ModuleType, contract: Contract | None) -> None:
        self._module, self._contract = module, contract
        if callable(getattr(module, "observe", None)):
            self.observe = lambda attempt: module.observe(attempt, contract)

    def verify(self, attempts: Sequence[Attempt]) -> Sequence[Verdict]:
        verdicts: Sequence[Verdict] = self._module.verify(list(attempts), self._contract)
        return verdicts


class VerifierFile:
    """The convention ``verifier.py``, as a plugin of the worker."""

    def __init__(self, contract: Contract | None) -> None:
        self._contract = contract

    @hookimpl
    def skillpm_verifier(self, skill: Skill) -> Verifier:
        """Return what verifier.py defines.

        Raises:
            PluginError: it cannot be imported, or has no function ``verify``.
        """
        module = load_module(skill, "verifier.py")
        if not callable(getattr(module, "verify", None)):
            raise PluginError(f"{skill.name}/verifier.py has no function `verify(attempts, contract)`")
        return _ModuleVerifier(module, self._contract)
