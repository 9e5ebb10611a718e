"""Which run a person means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skillpm.ops.learning.runs import find_run
from skillpm.ops.learning.stored_runs import list_runs
from skillpm.settings import load_settings

LATEST: list[tuple[dict[str, str], str]] = [  # what start.json of each run has of the clock, and the newest of them
    ({"20260101-000000-b": "2030-01-01T00:00:00+00:00", "20260101-000001-a": "2020-01-01T00:00:00+00:00"}, "-a"),
    ({"20260101-000000-b": "2026-01-01T00:00:00+00:00", "best": "2025-06-01T00:00:00+00:00"}, "-b"),
    ({"20260101-000000-b": "2026-01-01T00:00:00+00:00", "best": "2026-01-01T03:00:00+02:00"}, "best"),
    ({"20260101-000000-b": "2026-01-01T00:00:00+00:00", "best": "soon"}, "-b"),
]


@pytest.mark.parametrize(("runs", "newest"), LATEST)
def test_the_latest_run_is_the_one_that_began_last(tmp_path: Path, runs: dict[str, str], newest: str) -> None:
    for name, created in runs.items():
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        (folder / "start.json").write_text(json.dumps({"created": created}))
    settings = load_settings(project=tmp_path, environment={})
    assert find_run(settings, Path("latest")).name.endswith(newest)
    assert list_runs(settings)[-1].name.endswith(newest)
