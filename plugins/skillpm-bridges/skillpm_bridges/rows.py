"""The tasks of a skill by what they are for, and the files that every environment has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skillpm.plugin import Contributions, Seed, Task, UsageError, told_tools

_OURS = ("SPLITS", "DATASETS", "SETTINGS", "LEFT")  # words with quotes: none holds anything as it stands in a skill
_PLAIN = re.compile(r"[\w.+!~/, -]*")
_TEMPLATES = Path(__file__).parent / "templates"


def tasks_of(given: Contributions) -> dict[str, list[Task]]:
    """Return the tasks of a skill as ``train``, ``held_out`` and ``suite``; a set without tasks is left out.

    Training tasks are those of a synthesis, else the seeds. What stands in a suite never trains.

    Raises:
        UsageError: nothing judges the skill's answers, or it has no task.
        DocumentError: an expected answer breaks the contract.
    """
    name = given.skill.name
    if not given.verifier:
        hint = "name other skills, or draft a contract with `skillpm draft`"
        raise UsageError(f"{name} has neither a contract nor a verifier, so nothing judges its answers", hint=hint)
    sets = {split: [task for task in given.tasks if task.split == split] for split in ("train", "held_out")}
    sets["train"] = sets["train"] or [_seed_task(given, seed) for seed in given.seeds]
    sets["suite"] = [
        given.task(seed.request, _complete(given, seed.expected))
        for suite in given.suites
        for seed in suite.tasks
        if isinstance(seed, Seed)
    ]
    if not any(sets.values()):
        raise UsageError(f"{name} has no task", hint="add seeds or a suite, or rows with `--data`")
    return {split: tasks for split, tasks in sets.items() if tasks}


def _seed_task(given: Contributions, seed: Seed) -> Task:
    return Task.of(
        skill=given.skill.name,
        system=given.prompt,
        request=seed.request,
        expected=_complete(given, seed.expected),
        split="train",
        origin="seed",
    )


def _complete(given: Contributions, expected: Any) -> Any:
    return expected if given.contract is None else given.contract.complete(expected)


def system_prompt(given: Contributions) -> str:
    """Return the prompt of a skill with the schemas of its tools, for a model that was never told of them."""
    if given.contract is None:
        return given.prompt or given.skill_text
    return f"{given.prompt}\n\n{told_tools(given.contract)}".strip()


def module_name(given: Contributions) -> str:
    """Return a name for the skill's environment that is not the name of the program which it is for."""
    return f"skill_{re.sub(r'[^a-z0-9]', '_', given.skill.name.lower())}"


def refuse_shared_names(given: Iterable[Contributions]) -> None:
    """Raise UsageError where two skills would be written under one name, such as `acme/x` and `acme-x`."""
    names: dict[str, str] = {}
    for skill in given:
        other = names.setdefault(module_name(skill), skill.skill.name)
        if other != skill.skill.name:
            message = f"{other} and {skill.skill.name} would both be called {module_name(skill)}"
            raise UsageError(message, hint="export them one by one, into two folders")


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON Lines; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def write_template(name: str | tuple[str, ...], path: Path, **words: str) -> None:
    """Write a file of ``templates/``, or several as one, with ``@WORD@`` replaced; makes the folder.

    Raises:
        UsageError: a word from the skill could end the text in which it stands, and so become code.
    """
    for word, value in words.items():
        if word not in _OURS and not _PLAIN.fullmatch(value):
            hint = "use letters, digits, `_`, `-` and `.` in names and versions"
            raise UsageError(f"{value!r} cannot be written into the files of an export", hint=hint)
    names = (name,) if isinstance(name, str) else name
    text = "".join((_TEMPLATES / f"{item}.txt").read_text(encoding="utf-8") for item in names)
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_package(given: Contributions, package: Path) -> dict[str, str]:
    """Write the skill and its judge into a Python package; return the words of the package's templates.

    Raises:
        UsageError: nothing judges the skill's answers, or it has no task.
    """
    sets = tasks_of(given)
    given.write_skill(package / "skill")
    (package / "judge.py").write_bytes(Path(__file__).with_name("judge.py").read_bytes())
    return {
        "MODULE": module_name(given),
        "SKILL": given.skill.name,
        "VERSION": given.skill.version,
        "REWARD": given.default_reward,
        "SPLIT": next(iter(sets)),
        "SPLITS": ", ".join(f'"{split}"' for split in sets),
    }


def write_tasks(given: Contributions, package: Path) -> None:
    """Write the prompt, and the tasks of each set."""
    (package / "prompt.txt").write_text(system_prompt(given), encoding="utf-8")
    for split, tasks in tasks_of(given).items():
        rows = ({"key": task.key, "request": task.request, "expected": task.expected} for task in tasks)
        write_rows(package / f"{split}.jsonl", rows)
