"""git-cli: what real git does decides, and the throw-away repositories are what git itself would have made."""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from skillpm.formats.document import read_model
from skillpm.model.synthesis import SynthesisDocument
from skillpm.synth.sample import Sampler, Side
from skillpm.synth.split import divide
from tests.conftest import ROOT
from tests.shop import MakeProject

SKILL = ROOT / "skills" / "git-cli"
PAIRS = (ROOT / "tests" / "cases" / "git_pairs.txt").read_text().split("\n\n")


@pytest.mark.parametrize("place", [0, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all others"])
def test_an_answer_passes_if_real_git_leaves_the_same_state(project: MakeProject, place: int) -> None:
    pairs = [line.split(" | ") for line in PAIRS[place].splitlines() if not line.startswith("#")]
    calls = [[{"tool": "git", "args": {"command": command}} for command in pair[1:]] for pair in pairs]
    rows = [json.dumps({"expected": gold, "completion": json.dumps(answer)}) + "\n" for gold, answer in calls]

    done = project().call("score", "git-cli", "--yes", stdin="".join(rows)).ok()

    passed = ["=" if json.loads(line)["status"] == "passed" else "!" for line in done.out.splitlines()]
    wrong = [pair for pair, verdict in zip(pairs, passed, strict=True) if pair[0] != verdict]
    assert wrong == []


@pytest.mark.parametrize("kind", ["apart", "dirty", "merged", "clashing"])
def test_git_finds_nothing_wrong_with_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.syspath_prepend(SKILL)
    from git_names import names_of  # type: ignore[import-not-found]
    from git_states import Place, state_of  # type: ignore[import-not-found]
    from git_worlds import WorldBuilder  # type: ignore[import-not-found]

    command = shlex.split("git restore --source=v1.0 src/app.py docs/")
    world = WorldBuilder(names_of([command])).build([kind])[kind]
    place = Place(tmp_path)
    place.set(world)

    for folder in ("work", "origin", "upstream"):
        done = subprocess.run(
            ["git", "fsck", "--strict", "--full"],
            cwd=place.folder / folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done
    assert state_of(place.get()) == state_of(world)
    for name in [name for name in sys.modules if name.startswith("git_")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.slow
def test_every_expected_command_of_the_skill_changes_something_or_only_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else states could not tell a wrong answer from a right one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.syspath_prepend(SKILL)
    import verifier  # type: ignore[import-not-found]

    prints = {"status", "log"}
    lists = ("git branch -a", "git branch --", "git stash list", "git stash show", "git add -p", "git rebase -i")
    seeds = (SKILL / "seeds" / "seeds.jsonl").read_text().splitlines()
    commands = {json.loads(line)["expected"]["args"]["command"] for line in seeds}
    idle = [
        command
        for command in sorted(commands)
        if command.split()[1] not in prints and command != "git branch" and not command.startswith(lists)
        if not verifier.Expected((tuple(shlex.split(command)),)).changes()
    ]
    assert idle == []
    for name in [name for name in sys.modules if name.startswith("git_") or name == "verifier"]:
        del sys.modules[name]  # it runs commands in this test's folder


def test_a_look_shows_the_name_that_the_request_does_not_say(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of the suite can be answered after `git status` or `git branch`, a row of a rule after its own look."""
    monkeypatch.syspath_prepend(SKILL)
    from verifier import _looks, _printed

    suite = yaml.safe_load((SKILL / "suites/looking.yaml").read_text())
    rules = read_model(SynthesisDocument, (SKILL / "synthesis.yaml").read_text())
    looks = {"git branch": "feature/dark-mode", "git status": "web/theme.css"}
    tasks = [(task["request"], task["expected"], task["tags"], [*looks]) for task in suite["tasks"]]
    side = Side(rules, divide(rules), "train")
    for rule in rules.tasks:
        if rule.first:
            sample = Sampler(side, rule).draw(random.Random(0).random)
            assert sample is not None
            first = [target["args"]["command"] for target in sample.first]
            tasks.append((sample.request, sample.target, [*rule.tags], first))
    assert len(tasks) == len(suite["tasks"]) + 9
    for request, expected, tags, first in tasks:
        gold = tuple(shlex.split(expected["args"]["command"]))
        shown = _printed((gold,), tuple(tuple(shlex.split(line)) for line in first))
        assert gold[-1] in shown and gold[-1] not in request and tags == ["look"]
        assert all(looks[line] in shown for line in first) and not _looks(gold)
    assert all(_looks(("git", *words.split())) for words in ("status", "log -n 3", "branch -a", "stash list"))
    for name in [name for name in sys.modules if name.startswith("git_") or name == "verifier"]:
        monkeypatch.delitem(sys.modules, name)
