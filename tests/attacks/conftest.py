"""A project with something to lose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.world import World
from tests.servers import Shop, serving
from tests.shop import MakeProject, skill_files


@pytest.fixture
def world(project: MakeProject, tmp_path: Path) -> World:
    """Return a project in which ``kept`` is installed."""
    place = project({"kept": skill_files("kept")})
    place.call("install", "./kept").ok()
    made = World(place, tmp_path)
    made.offer_skill("good")
    return made


@pytest.fixture
def site(world: World) -> Iterator[Shop]:
    """The world's registry behind a server."""
    with serving(world.shop) as shop:
        yield shop
