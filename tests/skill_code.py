"""A skill out of a dict of files, its tasks, and a scorer over it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import PolicyError
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.model.episode import Episode
from skillpm.model.skill import Skill
from skillpm.model.task import Message, Task
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
MakeSkill = Callable[..., Skill]
MakeScorer = Callable[..., Scorer]
MakeEpisode = Callable[..., Episode]
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


@pytest.fixture
def make_skill(tmp_path: Path) -> Callable[..., Skill]:
    """Return ``make_skill(files, name=...)``; SKILL.md, skill.yaml and contract.yaml are there unless they are None."""

    def make(files: Mapping[str, str | None] | None = None, name: str = "serving") -> Skill:
        root = tmp_path / name
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

    return make


@pytest.fixture
def gold() -> dict[str, Any]:
    """An expected answer of the contract."""
    return {"tool": "serve", "args": {"port": 8123, "host": None, "quiet": None}}


@pytest.fixture
def episode(gold: dict[str, Any]) -> Callable[..., Episode]:
    """Return ``episode(completion, ...)``; the gold answer where no completion is given."""

    def make(
        completion: str | None = None, *, expected: Any = gold, skill: str = "serving", request: str = "go"
    ) -> Episode:
        task = Task.of(skill=skill, system="", request=request, expected=expected, split="train", origin="rule")
        text = json.dumps(expected) if completion is None else completion
        return Episode(task=task, messages=(Message(role="assistant", content=text),))

    return make


@pytest.fixture
def consents(tmp_path: Path) -> Consents:
    """An empty record of consents."""
    return Consents(tmp_path / "consents.json")


@pytest.fixture
def copies(tmp_path: Path) -> SealedCopies:
    """Where skills run from."""
    return SealedCopies(Store(tmp_path / "store"), Store(tmp_path / "cache" / "sealed"))


@pytest.fixture
def make_scorer(consents: Consents, copies: SealedCopies) -> Callable[..., Scorer]:
    """Return ``make_scorer(*skills, limits=...)``, with consent to run their code, sealed."""

    def make(*skills: Skill, **options: Any) -> Scorer:
        sealed = [copies.seal(skill) for skill in skills]
        for skill in sealed:
            consents.grant(consents.request(skill))
        return Scorer(sealed, consents=consents, **{"limits": PATIENT, **options})

    return make
