"""NeMo Gym: a tree with a resources server, its rows and its configuration, from which Gym starts.

Source: NVIDIA-NeMo/Gym 0.4, ``nemo_gym/config_types.py`` and ``resources_servers/example_single_tool_call``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skillpm.plugin import Contributions, Task
from skillpm_bridges.rows import module_name, tasks_of, write_rows, write_template

SERVER = "skillpm"
_AGENT = f"{SERVER}_simple_agent"
_TYPES = {"train": "train", "held_out": "validation", "suite": "validation"}
_EXAMPLES = 5  # as Gym wants of every server


def export(given: Mapping[str, Contributions], folder: Path) -> None:
    """Write the tree. Raises UsageError where a skill has no task, or nothing judges its answers."""
    server = folder / "resources_servers" / SERVER
    sets: dict[str, list[dict[str, Any]]] = {}
    for skill in given.values():
        skill.write_skill(server / "skills" / module_name(skill))
        for split, tasks in tasks_of(skill).items():
            sets.setdefault(split, []).extend(rows(skill, tasks))
    for split, items in sets.items():
        write_rows(server / "data" / f"{split}.jsonl", items)
    examples = [item for items in sets.values() for item in items][:_EXAMPLES]
    write_rows(server / "data" / "example.jsonl", examples)
    datasets = "".join(map(_dataset, [*sets, "example"]))
    words = {"SERVER": SERVER, "AGENT": _AGENT, "DATASETS": datasets, "SKILLS": ", ".join(given)}
    write_template("gym/config.yaml", server / "configs" / f"{SERVER}.yaml", **words)
    write_template("gym/app.py", server / "app.py", **words)
    write_template("gym/requirements.txt", server / "requirements.txt", **words)
    write_template("gym/README.md", folder / "README.md", **words)


def rows(given: Contributions, tasks: Sequence[Task]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a skill's tasks; the tools are offered natively."""
    tools = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.input_schema,
            "strict": False,
        }
        for tool in (given.contract.tools.values() if given.contract is not None else ())
    ]
    more = {"tools": tools, "parallel_tool_calls": False} if tools else {}
    for task in tasks:
        messages = [{"role": message.role, "content": message.content} for message in task.prompt]
        yield {
            "responses_create_params": {"input": messages, **more},
            "agent_ref": {"type": "responses_api_agents", "name": _AGENT},
            "expected_output": task.expected,
            "verifier_metadata": {"skill": given.skill.name, "task": task.key},
        }


def _dataset(split: str) -> str:
    path = f"resources_servers/{SERVER}/data/{split}.jsonl"
    row = {"name": split, "type": _TYPES.get(split, "example"), "jsonl_fpath": path, "license": "TBD"}
    return f"      - {json.dumps(row)}\n"
