"""A project with something to lose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.world import World
from tests.shop import MakeProject, SkillFiles


@pytest.fixture
def world(project: MakeProject, skill_files: SkillFiles, tmp_path: Path) -> World:
    """Return a project in which ``kept`` is installed."""
    place = project({"kept": skill_files("kept")})
    place.call("install", "./kept").ok()
    made = World(place, tmp_path)
    made.offer_skill("good")
    return made
