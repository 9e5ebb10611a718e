"""Records in a file are the records that were written, and cost little memory."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.errors import DocumentError
from skillpm.evals.outcomes import Outcomes, TaskNumbers
from skillpm.evals.stored_records import StoredRecords, read_stored
from skillpm.model.evaluation import Evaluation
from tests.scripted_policy import MakeArm, Server


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_an_evaluation_of_any_layout_is_read_as_it_was_written(
    server: Server, make_arm: MakeArm, tmp_path: Path, indent: int | None
) -> None:
    answers = {server.request(2): 'ü \u202e "records": []\n]'}
    evaluation = server.assembled(make_arm("base", [1], **answers), make_arm("sft", []))
    empty = evaluation.arms[0].model_copy(update={"name": "none", "records": ()})
    evaluation = evaluation.model_copy(update={"arms": (*evaluation.arms, empty)})
    contents = re.compile(r'(?<="contents": )"[0-9a-f]{16}"')
    assert len(contents.findall(evaluation.text())) == 3
    assert contents.sub("null", evaluation.text()) == f"{evaluation.model_dump_json(indent=1)}\n"
    file = tmp_path / "e.json"
    file.write_text(json.dumps(json.loads(evaluation.text()), indent=indent, ensure_ascii=indent == 4))
    stored = read_stored(file)
    assert isinstance(stored.arms[0].records, StoredRecords)
    assert stored == evaluation == Evaluation.parse(evaluation.text(), path="e")
    assert stored.text() == evaluation.text()


def test_a_broken_evaluation_is_refused_as_if_it_were_read_at_once(
    server: Server, make_arm: MakeArm, tmp_path: Path
) -> None:
    text = server.assembled(make_arm("base", [1])).text()
    file = tmp_path / "e.json"
    for old, new in [("true", '"perhaps"'), ('"stop"', '"ended"'), ('"task":', '"task": 1, "task":'), ("]", "")]:
        file.write_text(text.replace(old, new))
        with pytest.raises(DocumentError) as stored:
            read_stored(file)
        with pytest.raises(DocumentError) as whole:
            Evaluation.parse(file.read_text(), path=str(file))
        assert str(stored.value) == str(whole.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda sets, arms: sets.clear(), "arm `base` has answers of `"),
        (lambda sets, arms: arms[0]["records"].append(arms[0]["records"][2]), "arms.0.records.12`: a second answer to"),
        (lambda sets, arms: arms.append(arms[0]), "has two arms `base`"),
        (lambda sets, arms: arms[0]["records"][1].update(prompt_tokens=1 << 32), "prompt_tokens.*less than"),
        (lambda sets, arms: arms[0]["records"][1].update(repeat=1000), "repeat.*less than"),
    ],
)
def test_what_belongs_nowhere_or_would_be_counted_twice_or_beyond_all_measure_is_refused(
    server: Server, make_arm: MakeArm, tmp_path: Path, change: Callable[[list[Any], list[Any]], None], said: str
) -> None:
    document = json.loads(server.assembled(make_arm("base", [1])).text())
    change(document["task_sets"], document["arms"])
    (tmp_path / "e.json").write_text(json.dumps(document))
    with pytest.raises(DocumentError, match=said):
        read_stored(tmp_path / "e.json")


SURROGATE, BOUND, CHANGED = "has a lone surrogate", "must be at ", "another request or expected answer"
EDITS: list[tuple[str, Any, str]] = [
    ("arms.1.records.2.request", "\ud800", SURROGATE),
    ("arms.0.records.1.completion", "a\udfff", SURROGATE),
    ("arms.0.records.0.expected", {"a": {"\ud800": 1}}, SURROGATE),
    ("arms.0.records.0.rewards.\ud800", 1, SURROGATE),
    ("arms.0.records.0.verdict.components.\ud800", 1, SURROGATE),
    ("arms.0.records.0.tags", ["a", "\ud800"], SURROGATE),
    ("arms.0.name", "\ud800", SURROGATE),
    ("arms.0.settings.x", ["\udc00"], SURROGATE),
    ("commands", ["\udc00"], SURROGATE),
    ("arms.1.records.2.rewards.exact", 1.5, BOUND),
    ("arms.1.records.2.rewards.exact", -9, BOUND),
    ("arms.1.records.2.request", "stop", CHANGED),
    ("arms.1.records.2.expected", None, CHANGED),
]


@pytest.mark.parametrize(("place", "value", "said"), EDITS)
def test_an_evaluation_that_was_edited_into_what_none_can_be_is_refused_with_the_place(
    server: Server, make_arm: MakeArm, tmp_path: Path, place: str, value: Any, said: str
) -> None:
    document = json.loads(server.assembled(make_arm("base", [1]), make_arm("sft", [])).text())
    file = tmp_path / "e.json"
    file.write_text(json.dumps(document))
    read_stored(file)
    *above, last = place.split(".")
    part = document
    for step in above:
        part = part[int(step) if step.isdigit() else step]
    part[last] = value
    file.write_text(json.dumps(document))
    where = ".".join(above if said is CHANGED else [*above, last]).encode("ascii", "backslashreplace").decode()
    with pytest.raises(DocumentError, match=f"`{re.escape(where)}.*`: {said}") as refused:
        read_stored(file)
    assert str(refused.value).encode()


def assert_both_refuse(file: Path, document: dict[str, Any], said: str) -> None:
    """Check that both readers refuse an evaluation, and say what to do."""
    file.write_text(json.dumps(document))
    for read in (read_stored, lambda path: Evaluation.parse(path.read_text(), path="e")):
        with pytest.raises(DocumentError, match=said) as refused:
            read(file)
        assert refused.value.hint


@pytest.mark.parametrize("key", ["request", "expected", "task", None])
def test_a_task_that_was_changed_in_every_arm_is_noticed(
    server: Server, make_arm: MakeArm, tmp_path: Path, key: str | None
) -> None:
    """An arm that is left out is no change; one without a digest of its tasks is, in a version that writes them."""
    evaluation = server.assembled(make_arm("base", [1]), make_arm("sft", []))
    document = json.loads(evaluation.text())
    file = tmp_path / "e.json"
    for arm in document["arms"]:
        if key is None:
            arm["records"].pop()
        else:
            arm["records"][3][key] = {"tool": "stop", "args": {}} if key == "expected" else "stop it"
    assert_both_refuse(file, document, "arm `base` has other requests, expected answers or tasks")
    for arm in document["arms"]:
        del arm["contents"]
    assert_both_refuse(file, document, "arm `base` has no `contents`")
    file.write_text(json.dumps(document | {"evaluation": 4}))
    assert len(read_stored(file).arms) == len(Evaluation.parse(file.read_text(), path="e").arms) == 2
    file.write_text(json.dumps(json.loads(evaluation.text()) | {"arms": json.loads(evaluation.text())["arms"][1:]}))
    assert read_stored(file).arms == evaluation.arms[1:]


@given(st.lists(st.text("ab", max_size=3), max_size=40))
def test_tasks_are_numbered_in_the_order_in_which_they_appear(keys: list[str]) -> None:
    numbers, names = TaskNumbers(), list(dict.fromkeys(keys))
    assert [numbers.number(("s", key, "t")) for key in keys] == [names.index(key) for key in keys]
    assert [numbers.find(digest) for digest in numbers.digests()] == list(range(len(names)))
    assert numbers.find(bytes(16)) == -1


def test_a_record_costs_less_than_a_hundred_bytes(make_arm: MakeArm) -> None:
    (record, *_), outcomes, count = make_arm("base", [1]).records, Outcomes(), 5000
    tracemalloc.start()
    for number in range(count):
        outcomes.add(record.model_copy(update={"task": f"{number:032}"}))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outcomes.whole().tasks == count
    assert used < 100 * count
