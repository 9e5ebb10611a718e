"""A skill out of a dict of files, its tasks, and a scorer over it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import PolicyError
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.model.episode import Episode
from skillpm.model.skill import Skill
from skillpm.model.task import Message, Task
from skillpm.model.verdict import Judgement
from skillpm.runtime.host import Host
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.sandbox import Sandbox, choose
from skillpm.storage.store import Store
from skillpm.trust.consent import Consents
from skillpm.worker.scoring import Scorer
from skillpm.worker.sealed import SealedCopies

CONTRACT = """
contract: 1
system_prompt: Answer with JSON.
tools:
  - name: serve
    input_schema:
      type: object
      properties: {port: {type: integer}, host: {type: string}, quiet: {type: boolean}}
    argv: [serve, {flag: --port, value: port}, {flag: --host, value: host}, {flag: --quiet, if: quiet}]
"""
MANIFEST = "manifest: 1\nversion: 1.0.0\n"
GOLD: dict[str, Any] = {"tool": "serve", "args": {"port": 8123, "host": None, "quiet": None}}  # of the contract
PATIENT = Limits(start_seconds=100.0, batch_seconds=100.0, call_seconds=100.0, item_seconds=0.0)  # busy machines too


@pytest.fixture(scope="session")
def offered() -> Callable[[str], Sandbox]:
    """Return ``offered(level)``: that sandbox; the test is skipped where this machine does not offer it."""

    def find(level: str) -> Sandbox:
        try:
            return choose(level)
        except PolicyError as error:
            pytest.skip(error.message)

    return find


def episode(
    completion: str | None = None, *, expected: Any = GOLD, skill: str = "serving", request: str = "go"
) -> Episode:
    """Return an answer to a task; the expected one where no completion is given."""
    task = Task.of(skill=skill, system="", request=request, expected=expected, split="train", origin="rule")
    text = json.dumps(expected) if completion is None else completion
    return Episode(task=task, messages=(Message(role="assistant", content=text),))


def hosting(**plugins: object) -> Host:
    """Return a host with these plugins, each by its name."""
    host = Host()
    for name, plugin in plugins.items():
        host.register(plugin, name, "acme 1")
    return host


@dataclass(frozen=True)
class Bench:
    """Makes skills, and has their code run: with consent, and sealed."""

    folder: Path
    consents: Consents
    copies: SealedCopies

    def skill(self, files: Mapping[str, str | None] | None = None, name: str = "serving") -> Skill:
        """Write a skill; SKILL.md, skill.yaml and contract.yaml are there unless they are None."""
        root = self.folder / name
        basis: dict[str, str | None] = {
            "SKILL.md": f"---\nname: {name}\ndescription: Serve things.\n---\nUse serve.\n",
            "skill.yaml": MANIFEST,
            "contract.yaml": CONTRACT,
        }
        for path, text in {**basis, **(files or {})}.items():
            if text is not None:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
        return Skill(name, "1.0.0", tree_digest(FolderTree(root)), root)

    def scorer(self, *skills: Skill, **options: Any) -> Scorer:
        """Return the scorer of some skills; the options are those of ``Scorer``."""
        sealed = [self.copies.seal(skill) for skill in skills]
        for skill in sealed:
            self.consents.grant(self.consents.request(skill))
        return Scorer(sealed, consents=self.consents, **{"limits": PATIENT, **options})

    def judge(
        self, episodes: Sequence[Episode], files: Mapping[str, str | None] | None = None, **options: Any
    ) -> list[Judgement]:
        """Judge some episodes by the one skill that has these files."""
        with self.scorer(self.skill(files), **options) as scorer:
            return scorer.judge(episodes)


@pytest.fixture
def consents(tmp_path: Path) -> Consents:
    """An empty record of consents."""
    return Consents(tmp_path / "consents.json")


@pytest.fixture
def copies(tmp_path: Path) -> SealedCopies:
    """Where skills run from."""
    return SealedCopies(Store(tmp_path / "store"), Store(tmp_path / "cache" / "sealed"))


@pytest.fixture
def bench(tmp_path: Path, consents: Consents, copies: SealedCopies) -> Bench:
    """Where the skills of a test are made and judged."""
    return Bench(tmp_path, consents, copies)
