"""plugins/skillpm-typos: a distribution's synthesis rule makes rows of every skill, in skillpm's own process."""

from __future__ import annotations

import json
import random

import pytest

from tests.conftest import ROOT
from tests.plugins.test_changelog import install, run
from tests.shop import MakeProject


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "plugins/skillpm-typos"))


def test_a_slip_changes_two_letters_and_no_word_of_the_answer() -> None:
    from skillpm_typos.rule import slip

    request, chance = "Find every lorem inside", random.Random(0)
    slips = {slip(request, '{"pattern": "lorem"}', chance) for _ in range(200)}
    assert len(slips) > 5
    assert all("lorem" in text and sorted(text) == sorted(request) for text in slips)
    assert slip("lorem", '"lorem"', chance) == "lorem"


def test_the_same_seeds_and_seed_give_the_same_tasks_for_training_only() -> None:
    from skillpm_typos.rule import Typos

    from skillpm.plugin import Seed

    seeds = [Seed(request=f"Show every open port of host {n}.", expected={"host": n}) for n in range(3)]
    tasks = list(Typos("demo").tasks(seeds, 7))
    assert tasks == list(Typos("demo").tasks(seeds, 7)) != list(Typos("demo").tasks(seeds, 8))
    assert len(tasks) > 30 and {task.split for task in tasks} == {"train"}
    assert all(task.expected == seeds[int(task.request.rstrip(".")[-1])].expected for task in tasks)


def test_the_plugin_s_rows_are_synthesised_beside_those_of_the_skill(project: MakeProject) -> None:
    world = project({})
    world.call("new", "finder").ok()
    install(ROOT / "plugins" / "skillpm-typos", world.root / "site")

    done = run(world, "synth", "./finder", "--rows", "30", "--held-out", "4", "-o", "data", "--yes").ok()
    rows = [json.loads(line) for line in (world.root / "data/train.jsonl").read_text().splitlines()]
    held = (world.root / "data/held_out.jsonl").read_text()
    assert sum("rule:typos" in row["tags"] for row in rows) >= 5, done
    assert "rule:typos" not in held
