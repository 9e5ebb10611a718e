"""The lock has the wheels of skills' Python packages, and what runs is what it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillpm.worker.pip import platform_name
from tests.conftest import Project
from tests.shop import MakeProject, skill_files
from tests.wheels import digest, wheel

VERIFIER = (
    "import acme\nfrom skillpm.plugin import Verdict\n\n\ndef verify(attempts, contract):\n"
    "    return [Verdict(status='failed', score=0.0, reasons=(acme.SHADE,)) for _ in attempts]\n"
)
ROW = '{"expected": {}, "completion": "x"}\n'


@pytest.fixture
def place(project: MakeProject, tmp_path: Path) -> Project:
    """A project with a skill that needs a package, and a folder of wheels that pip asks."""
    files = skill_files("one")
    files["skill.yaml"] += "python: [acme]\n"
    wheel(tmp_path / "wheels", "acme", "1.0", {"acme.py": "SHADE = 'red'\n"})
    made = project({"one": {**files, "verifier.py": VERIFIER}})
    environment = {**made.environment, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    return Project(made.root, environment)


def locked(place: Project) -> Any:
    (entry,) = json.loads((place.root / "skillpm.lock").read_text())["skills"]
    return entry.get("python")


@pytest.mark.slow
def test_an_install_locks_the_wheels_and_they_are_what_is_shown_agreed_to_and_run(
    place: Project, tmp_path: Path
) -> None:
    place.run("install", "./one").ok()
    file = "acme-1.0-py3-none-any.whl"
    sha256 = digest(tmp_path / "wheels" / file)
    assert locked(place) == [{"platform": platform_name(), "wheels": [{"file": file, "sha256": sha256}]}]
    wheel(tmp_path / "wheels", "acme", "2.0", {"acme.py": "SHADE = 'blue'\n"})
    assert f"{file} sha256:{sha256}" in place.run("score", "one", stdin=ROW).fails(6).err
    assert place.run("score", "one", "--yes", stdin=ROW).ok().document["reasons"] == ["red"]
    place.run("sync").ok()
    assert locked(place)[0]["wheels"][0]["sha256"] == sha256
    for answer in (place.run("score", "one", stdin=ROW).ok(), place.run("sync", "--locked").ok()):
        assert "blue" not in answer.out


@pytest.mark.slow
def test_what_cannot_be_resolved_is_installed_with_a_warning_and_locked_by_the_next_install(
    place: Project, tmp_path: Path
) -> None:
    (tmp_path / "wheels" / "acme-1.0-py3-none-any.whl").unlink()
    assert "the lock has no Python packages of one" in place.run("install", "./one").ok().err
    assert locked(place) is None
    wheel(tmp_path / "wheels", "acme", "1.0", {"acme.py": "SHADE = 'red'\n"})
    place.run("install", "./one").ok()
    assert len(locked(place)) == 1


def test_a_malformed_requirement_and_a_bad_address_are_findings_with_their_line(place: Project) -> None:
    for text in ("acme ==", "acme @ http://example.org/acme-1.0.tar.gz?x=.whl"):
        (place.root / "one/skill.yaml").write_text(f"manifest: 1\nversion: '1.0'\npython:\n  - b\n  - {text!r}\n")
        outcome = place.call("validate", "./one").fails(1)
        assert "skill.yaml:5" in outcome.out + outcome.err and "SK501" in outcome.out + outcome.err
