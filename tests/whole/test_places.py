"""A test stands where its subject stands, so that whoever knows one path knows the other."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import ROOT

TESTS = ROOT / "tests"
PACKAGES = {"registry": ROOT / "registry/skillpm_registry"}
"""Folders of tests whose subject is a distribution of its own."""
OTHERS = {"attacks", "cases", "golden", "gpu", "plugins", "skills", "whole"}
"""Folders of tests whose subject is no room of the package."""
MIRRORED = sorted(
    path.relative_to(TESTS) for path in TESTS.rglob("test_*.py") if path.relative_to(TESTS).parts[0] not in OTHERS
)


def module_stems(folder: Path) -> list[str]:
    """Return the names of modules and packages of a folder."""
    return [path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()]


def test_a_test_file_stands_beside_its_module_and_begins_with_its_name() -> None:
    assert MIRRORED
    for path in MIRRORED:
        top, *below = path.parent.parts
        room = PACKAGES.get(top, ROOT / "skillpm" / top).joinpath(*below)
        assert room.is_dir(), f"there is no {room}"
        name = path.stem.removeprefix("test_")
        stems = {*module_stems(room), room.name}
        assert any(name == stem or name.startswith(f"{stem}_") for stem in stems), f"{path}: no module of {room}"


def test_shared_modules_stand_at_the_root_and_hold_no_tests() -> None:
    assert [path.name for path in TESTS.glob("test_*.py")] == []
