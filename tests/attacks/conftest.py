"""A project with something to lose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.world import World


@pytest.fixture
def world(project: Callable[..., Any], skill_files: Callable[..., dict[str, Any]], tmp_path: Path) -> World:
    """Return a project in which ``kept`` is installed."""
    place = project({"kept": skill_files("kept")})
    place.call("install", "./kept").ok()
    made = World(place, tmp_path)
    made.offer_skill("good")
    return made
