"""What skillpm reads of the package ``bfcl-eval``: its rows of JSON, and the values that its checkers need.

Source: S. Patil et al., "The Berkeley Function Calling Leaderboard", ICML 2025; https://github.com/ShishirPatil/gorilla.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from skillpm.plugin import SkillpmError


def data_rows(name: str) -> list[dict[str, Any]]:
    """Return the rows of a file of the benchmark's data, such as ``BFCL_v4_multiple``; none if there is no such file.

    Raises:
        SkillpmError: ``bfcl-eval`` is not installed.
    """
    found = importlib.util.find_spec("bfcl_eval")
    if found is None or not found.submodule_search_locations:
        hint = "pip install --no-deps bfcl-eval"
        raise SkillpmError("the benchmark's own package is missing", hint=hint)
    file = Path(found.submodule_search_locations[0], "data", f"{name}.json")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else ()
    return [json.loads(line) for line in lines if line.strip()]


def truths_of(name: str) -> dict[str, Any]:
    """Return the right answers to the tasks of a file, by identity; empty where the benchmark has none."""
    return {row["id"]: row["ground_truth"] for row in data_rows(f"possible_answer/{name}")}
