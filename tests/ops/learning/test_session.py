"""A session's consents know what the lock says of each content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from skillpm.model.wheel import Wheel, WheelSet
from skillpm.ops.context import Context
from skillpm.ops.learning.session import open_consents, sealed_skills
from skillpm.ops.project.asked import Asked
from skillpm.ops.project.install import InstallOptions, install
from skillpm.settings import load_settings
from skillpm.storage.lockfile import write_lock
from skillpm.worker.pip import platform_name
from tests.shop import MakeProject, skill_files


def opened(root: Path, consent: str = "ask") -> Context:
    environment = {"SKILLPM_HOME": str(root.parent / "home"), "SKILLPM_CONSENT": consent}
    return Context(load_settings(project=root, environment=environment))


def test_a_content_that_is_locked_under_two_names_keeps_the_wheels_of_either(project: MakeProject) -> None:
    files = skill_files("one")
    files["skill.yaml"] += "python: [acme]\n"
    root = project({"one": {**files, "verifier.py": "def verify(attempts, contract):\n    return []\n"}}).root
    install(opened(root, "never"), Asked.read([str(root / "one")]), InstallOptions())
    lock = opened(root).lock()
    (entry,) = lock.skills
    chosen = WheelSet(platform=platform_name(), wheels=(Wheel(file="acme-1.0-py3-none-any.whl", sha256="0" * 64),))
    for first, second in ((chosen, None), (None, chosen)):
        pair = (("a/one", first), ("one", second))
        entries = tuple(replace(entry, name=name, python=(wheels,) if wheels else None) for name, wheels in pair)
        write_lock(root / "skillpm.lock", replace(lock, skills=entries))
        context = opened(root)
        skills = sealed_skills(context, context.skills(["one"]))
        assert [open_consents(context).wheels(skill) for skill in skills] == [chosen]
