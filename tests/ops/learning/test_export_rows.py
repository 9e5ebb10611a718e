"""Tasks written in each form, and read in again: arguments survive every road."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.contract.foreign_rows import foreign_rows, typed_column
from skillpm.errors import UsageError
from skillpm.model.task import Task
from skillpm.ops.learning.export_rows import ROW_FORMS, export_rows
from skillpm.storage.row_files import read_rows

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
CALLS = st.builds(lambda args: {"tool": "dev", "args": args}, st.dictionaries(TEXTS, VALUES, max_size=4))
ANSWERS = VALUES.filter(lambda value: value is not None) | st.sampled_from(["42", "[1]", '{"tool": "dev", "args": {}}'])
"""What a skill's own verifier may expect: a number is not its text, and a text is not the object that it spells."""


def task(number: int, expected: Any) -> Task:
    return Task.of(
        skill="demo", system="Answer.", request=f"do {number}", expected=expected, split="train", origin="rule"
    )


def written(folder: Path, calls: list[Any]) -> Path:
    data = folder / "data"
    data.mkdir()
    lines = "".join(task(number, call).model_dump_json() + "\n" for number, call in enumerate(calls))
    (data / "train.jsonl").write_text(lines, encoding="utf-8")
    return data


def test_calls_and_texts_have_no_more_columns_than_other_trainers_know() -> None:
    assert not typed_column({"tool": "dev", "args": {}}) and not typed_column("hello")


@pytest.mark.parametrize("form", ROW_FORMS)
@given(calls=st.lists(CALLS | ANSWERS, min_size=2, max_size=4, unique_by=lambda call: json.dumps(call, sort_keys=True)))
def test_out_and_in_again_is_the_same(form: str, calls: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "out"
        counts = export_rows(written(Path(name), calls), form, out)
        (file,) = out.iterdir()
        rows = foreign_rows(read_rows(file), path=str(file))
    assert counts == {"train": len(calls)}
    assert [(row.request, row.expected) for row in rows] == [(f"do {n}", call) for n, call in enumerate(calls)]
    assert [json.dumps(row.expected) for row in rows] == [json.dumps(call) for call in calls]  # 1 is not 1.0


def test_a_pair_has_another_answer_of_the_same_tool(tmp_path: Path) -> None:
    calls = [{"tool": tool, "args": {"port": port}} for port in (1, 2) for tool in ("dev", "up")] + [
        {"refuse": "off_topic"}
    ]
    export_rows(written(tmp_path, calls), "preferences", tmp_path / "out")
    pairs = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    sides = [[json.loads(pair[side][0]["content"]) for side in ("chosen", "rejected")] for pair in pairs]
    assert all(chosen != rejected for chosen, rejected in sides) and len(pairs) == 5
    assert all(chosen["tool"] == rejected["tool"] for chosen, rejected in sides[:4])


def test_rows_with_answers_that_come_first_are_left_out(tmp_path: Path) -> None:
    data = written(tmp_path, [{"tool": "dev", "args": {}}])
    looks = task(9, {"tool": "dev", "args": {"port": 1}}).model_copy(update={"first": ({"tool": "dev", "args": {}},)})
    with (data / "train.jsonl").open("a") as file:
        file.write(f"{looks.model_dump_json()}\n")
    assert export_rows(data, "messages", tmp_path / "out") == {"train": 1}


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no rows"):
        export_rows(tmp_path, "messages", tmp_path / "out")
    (tmp_path / "train.jsonl").touch()
    for form in ("messages", "parquet"):
        with pytest.raises(UsageError, match=r"no row of .* has the form"):
            export_rows(tmp_path, form, tmp_path / "out")
    assert not (tmp_path / "out").exists()
