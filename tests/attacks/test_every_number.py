"""No attack of the list is without a test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow  # collects the whole suite
ROOT = Path(__file__).parents[2]
LIST: dict[int, str] = yaml.safe_load((ROOT / "tests/cases/attacks.yaml").read_text(encoding="utf-8"))
COLLECT = """
import sys
import pytest

class Numbers:
    def pytest_collection_finish(self, session):
        marks = (mark for item in session.items for mark in item.iter_markers("attack"))
        print("numbers", *sorted({number for mark in marks for number in mark.args}))

sys.exit(pytest.main(["--collect-only", "-q", "-q", "-n", "0", "-p", "no:cacheprovider", *sys.argv[1:]], [Numbers()]))
"""


@pytest.fixture(scope="module")
def tested() -> set[int]:
    """The numbers that tests carry, as they are collected by default."""
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if "attack" in path.read_text(encoding="utf-8")]
    done = subprocess.run([sys.executable, "-c", COLLECT, *files], cwd=ROOT, capture_output=True, text=True)
    found = re.search(r"^numbers ([\d ]+)$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {int(number) for number in found[1].split()}


def test_the_list_is_whole() -> None:
    assert list(LIST) == [*range(1, 84)]


@pytest.mark.parametrize("number", LIST)
def test_an_attack_has_a_test(tested: set[int], number: int) -> None:
    assert number in tested, f"attack {number} has no test: {LIST[number]}"


def test_every_number_that_a_test_carries_is_of_the_list(tested: set[int]) -> None:
    assert tested <= LIST.keys()
