"""The tutorials do what they say: their files are written, their commands typed, their outputs seen."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import ROOT, Project
from tests.plugins.test_changelog import install
from tests.shop import MakeProject

DOCS = Path(__file__).parents[2] / "docs"


def follow(page: str, world: Project, patience: float = 300) -> None:
    """Do what a page says; each command has so many seconds."""
    world.write({"bin": {"skillpm*": f'#!/bin/sh\nexec {sys.executable} -m skillpm "$@"\n'}})
    environment = {**world.environment, "PATH": f"{world.root / 'bin'}:{world.environment['PATH']}"}
    text = (DOCS / page).read_text(encoding="utf-8")
    said = ""
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if kind == "sh":
            said = ""
            for line in block.splitlines():
                words = ["sh", "-euc", line]
                done = subprocess.run(
                    words, cwd=world.root, env=environment, capture_output=True, text=True, timeout=patience
                )
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
                said += done.stdout + done.stderr
        elif kind == "text":
            for line in block.splitlines():
                assert line in said
        else:
            name, _, content = block.partition("\n")
            world.write({name.removeprefix("# "): content})


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_the_page_of_the_plain_path_ends_with_a_training_plan(project: MakeProject) -> None:
    world = project()
    follow("tutorial-tar.md", world)
    plan = world.run("train", "./tar-files", "--set", "data.rows=100", "--set", "data.refine=20", "--dry-run", "--json")
    assert plan.ok().document["stages"][0]["rows"] == 100
    left = [path.name for path in (world.root / "tar-files").rglob("*") if "skillpm-template:" in _text(path)]
    assert left == []


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(3600)
def test_the_three_steps_end_with_a_model_that_is_better_than_before(project: MakeProject) -> None:
    world = project()
    install(ROOT / "plugins/skillpm-bridges", world.root / "site")
    python_path = f"{world.root / 'site'}:{world.environment['PYTHONPATH']}"
    follow("langgraph.md", replace(world, environment={**world.environment, "PYTHONPATH": python_path}), 3000)
    (after,) = world.root.glob("runs/*/evals/*/evaluation.json")
    shares = []
    for path in (world.root / "before/evaluation.json", after):
        records = [item for item in json.loads(path.read_text())["arms"][-1]["records"] if item["suite"] == "held_out"]
        shares.append(sum(item["argv"] is not None for item in records) / len(records))
    assert shares[0] < 0.2 < 0.6 < shares[1], "shares of answers that would run, before and after"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


@pytest.mark.slow
def test_every_block_of_the_page_does_what_it_says(project: MakeProject) -> None:
    world = project()
    follow("tutorial.md", world)
    rows = [json.loads(line) for line in (world.root / "data/train.jsonl").read_text().splitlines()]
    held = [json.loads(line) for line in (world.root / "data/held_out.jsonl").read_text().splitlines()]
    assert len(rows) == 60 and len(held) == 12
    owned = [row for row in rows if "rule:owned_marks" in row["tags"]]
    assert len(owned) > 10
    assert not any(name in row["prompt"][-1]["content"] for row in owned for name in ("grace", "margaret"))
