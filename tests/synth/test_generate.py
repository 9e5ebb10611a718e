"""Synthesis, whole: right labels, nothing of training in held-out, same seed same bytes, bad input refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as given_by_hypothesis
from hypothesis import settings
from hypothesis import strategies as st

from skillpm.errors import CheckError, DocumentError, VerifierError
from skillpm.formats.document import read_json_lines
from skillpm.model.episode import Episode
from skillpm.model.suite import Suite
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.task import TRACE, Seed, Split, Task, canonical_json
from skillpm.model.verdict import Judgement, Verdict
from skillpm.runtime.catalogue import Contributions
from skillpm.storage.temporary_database import DigestMap
from skillpm.synth.dedupe import normal_form
from skillpm.synth.generate import synthesise
from skillpm.synth.pools import LISTED
from skillpm.synth.profile import Measurement
from skillpm.synth.split import divide
from skillpm.worker.protocol import task_document
from tests.synth.conftest import SMALL, given, judge

SEEDS = [
    Seed(id="one", request="Start the server on port 3001.", expected={"tool": "dev", "args": {"port": 3001}}),
    Seed(request="Stop 10010", expected={"tool": "stop", "args": {"port": 10010}}, tags=("hand",)),
]


def shown(task: Task) -> set[str]:
    return {str(value) for value in task.expected["args"].values() if value not in (None, True)}


def test_every_row_satisfies_the_contract_and_says_its_values(document: dict[str, Any]) -> None:
    made = synthesise([given(document, seeds=SEEDS)], judge, rows=300, held_out=60, seed=1)
    assert len(made.train) == 300
    assert len(made.held_out) == 60
    for task in (*made.train, *made.held_out):
        assert SMALL.problems(task.expected) == []
        for text in shown(task):
            assert text in task.request, (text, task.request)
        if task.expected["args"].get("quiet"):
            assert any(word in task.request for word in ("without a browser", "uietly", "and open nothing"))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_held_out_rows_show_values_and_phrasings_that_training_never_shows(document: dict[str, Any], seed: int) -> None:
    """Under any seed of training: held-out rows of one seed against the training rows of the others, too."""
    small = given(document, seeds=SEEDS)
    synthesis = SynthesisDocument.model_validate({"synthesis": 1, **document})
    division = divide(synthesis, SEEDS)
    held = synthesise([small], judge, rows=0, held_out=80, seed=seed).held_out
    train = [task for other in (0, 1, 7) for task in synthesise([small], judge, rows=300, held_out=0, seed=other).train]
    known = set().union(*map(shown, train))
    for task in held:
        assert shown(task).isdisjoint(known)
        for text in shown(task):
            assert not any(f" {text} " in f" {other.request.rstrip('.?!')} " for other in train)
    for rule in synthesis.tasks:
        mine, theirs = (set(division.phrasings_of(rule.requests, side)) for side in ("held_out", "train"))
        assert mine
        assert theirs
        assert mine.isdisjoint(theirs)
    assert {normal_form(task.request) for task in held}.isdisjoint(normal_form(task.request) for task in train)


def test_a_value_that_one_skill_trains_is_held_out_of_none_with_the_same_contract() -> None:
    def skill(name: str, share: float) -> Contributions:
        requests = [f"{name} stops {{x}}", f"for {name}: end {{x}}", f"{{x}} is to end, {name}"]
        task = {"name": "t", "tool": "stop", "draw": {"x": {"from": "x"}}, "args": {"port": "{x}"}}
        ports = {"choice": [*range(1, 41)]}
        return given({"values": {"x": ports}, "tasks": [task | {"requests": requests}], "held_out": share}, name=name)

    made = synthesise([skill("one", 0.2), skill("two", 0.5)], judge, rows=60, held_out=5, seed=0)
    train, held = ({task.expected["args"]["port"] for task in tasks} for tasks in (made.train, made.held_out))
    assert {task.skill for task in made.held_out} == {"one", "two"}
    assert held.isdisjoint(train)
    assert made.profile.skills["two"].held_out.rejected["shows a value that another skill of the same contract trains"]


def test_a_rule_with_nothing_to_hold_out_gives_no_held_out_row() -> None:
    task = {
        "name": "t",
        "tool": "dev",
        "draw": {"x": {"from": ["a", "b"]}},
        "args": {"tag": "{x}"},
        "requests": ["go {x}"],
    }
    made = synthesise([given({"tasks": [task]})], judge, rows=2, held_out=5, seed=0)
    assert len(made.train) == 2
    assert made.held_out == ()
    assert "nothing that could be held out" in " ".join(made.profile.skills["small"].notes)


def test_a_single_phrasing_needs_a_held_out_value_in_every_held_out_row() -> None:
    task = {
        "name": "t",
        "tool": "stop",
        "draw": {"x": {"from": "x", "probability": 0.5}},
        "args": {"port": "{x}"},
        "requests": ["stop it [x]"],
        "clauses": {"x": ["on {x}"]},
    }
    made = synthesise(
        [given({"values": {"x": {"integers": [1, 50]}}, "tasks": [task]})], judge, rows=20, held_out=5, seed=0
    )
    assert len(made.held_out) == 5
    assert all(task.expected["args"]["port"] for task in made.held_out)
    assert made.profile.overlap.held_out_values_in_train == 0
    assert made.profile.skills["small"].held_out.rejected["nothing in the row would be held out"] > 0


def test_tasks_share_clauses_and_may_have_their_own() -> None:
    def task(name: str, **own: Any) -> dict[str, Any]:
        return {
            "name": name,
            "tool": "stop",
            "draw": {"x": {"from": "x"}},
            "args": {"port": "{x}"},
            "requests": [f"{name} it [x]", f"{name} that [*]"],
            **own,
        }

    document = {
        "clauses": {"x": ["on {x}", "at {x}"]},
        "values": {"x": {"integers": [1, 900]}},
        "tasks": [task("stop"), task("end", clauses={"x": ["where {x} listens", "behind {x}"]})],
    }
    made = synthesise([given(document)], judge, rows=60, held_out=10, seed=0)
    said = {(task.request.split()[0], task.request.split()[2]) for task in (*made.train, *made.held_out)}
    assert said == {("Stop", "on"), ("Stop", "at"), ("End", "where"), ("End", "behind")}


def test_shared_clauses_of_a_slot_that_no_task_draws_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`clauses` has `prot`, which no task draws"):
        SynthesisDocument.model_validate({"synthesis": 1, **document, "clauses": {"prot": ["on {prot}"]}})


def test_constraints_are_kept_and_broken_draws_counted(document: dict[str, Any]) -> None:
    made = synthesise([given(document)], judge, rows=200, held_out=0, seed=3)
    rows = [task.expected["args"] for task in made.train if "rule:dev" in task.tags]
    assert rows
    assert all(not (row["tag"] and row["quiet"]) and (row["port"] or row["tag"]) for row in rows)
    rejected = made.profile.skills["small"].train.rejected
    assert rejected["constraint at_most_one [tag, quiet]"] > 0
    assert rejected["constraint at_least_one [port, tag]"] > 0


def test_different_means_different_values() -> None:
    task = {
        "name": "t",
        "tool": "dev",
        "draw": {"x": {"from": ["1", "2", "3"]}, "y": {"from": [1, 2, 3]}},
        "args": {"tag": "{x}", "port": "{y}"},
        "requests": ["{x} {y}"],
        "constraints": [{"different": ["x", "y"]}],
    }
    made = synthesise([given({"tasks": [task]})], judge, rows=9, held_out=0, seed=0)
    assert {(row.expected["args"]["tag"], str(row.expected["args"]["port"])) for row in made.train} == {
        (left, right) for left in "123" for right in "123" if left != right
    }


def test_ascending_values_go_up_and_the_one_that_is_not_drawn_is_passed_over() -> None:
    high = {"from": [2, 3, 9, 10], "probability": 0.5, "otherwise": "all"}
    task = {
        "name": "t",
        "tool": "dev",
        "draw": {"low": {"from": [1, 2, 10]}, "high": high},
        "args": {"port": "{low}", "tag": "up to {high}"},
        "requests": ["{low} [high]"],
        "clauses": {"high": ["{high}"]},
        "constraints": [{"ascending": ["low", "high"]}],
    }
    made = synthesise([given({"tasks": [task]})], judge, rows=50, held_out=0, seed=0)
    pairs = {(row.expected["args"]["port"], row.expected["args"]["tag"].removeprefix("up to ")) for row in made.train}
    numbers = {(low, str(high)) for low in (1, 2, 10) for high in (2, 3, 9, 10) if low < high}
    assert pairs == numbers | {(low, "all") for low in (1, 2, 10)}


def test_values_of_a_schema_are_valid_ordered_and_held_out_like_others() -> None:
    task = {
        "name": "t",
        "tool": "dev",
        "draw": {"first": {"from": "day"}, "last": {"from": "day"}, "port": {"from": "port"}},
        "args": {"tag": "{first}/{last}", "port": "{port}"},
        "requests": ["from {first} to {last} on {port}", "{port}, {first} until {last}"],
        "constraints": [{"ascending": ["first", "last"]}],
    }
    values = {
        "day": {"schema": {"type": "string", "format": "date"}},
        "port": {"schema": {"type": "integer", "minimum": 100, "maximum": 900, "multipleOf": 5}},
    }
    made = synthesise([given({"tasks": [task], "values": values})], judge, rows=60, held_out=20, seed=0)
    assert (len(made.train), len(made.held_out)) == (60, 20)
    sides = []
    for rows in (made.train, made.held_out):
        pairs = [row.expected["args"]["tag"].split("/") for row in rows]
        assert all(date.fromisoformat(low) < date.fromisoformat(high) for low, high in pairs)
        assert all(row.expected["args"]["port"] % 5 == 0 for row in rows)
        sides.append({text for pair in pairs for text in pair} | {row.expected["args"]["port"] for row in rows})
    assert not sides[0] & sides[1]
    again = synthesise([given({"tasks": [task], "values": values})], judge, rows=60, held_out=20, seed=0)
    assert again.profile.digests == made.profile.digests


def test_a_whole_number_of_a_schema_is_said_without_a_fraction() -> None:
    task = {"name": "t", "tool": "dev", "draw": {"x": {"from": "degrees"}}, "args": {"tag": "{x} C"}}
    values = {"degrees": {"schema": {"type": "number", "minimum": 5, "maximum": 30, "multipleOf": 0.5}}}
    rules = {"tasks": [task | {"requests": ["heat to {x}", "make it {x} degrees"]}], "values": values}
    made = synthesise([given(rules)], judge, rows=40, held_out=0, seed=0)
    said = [re.findall(r"[0-9.]+", row.request)[0] for row in made.train]
    assert {text.endswith(".5") for text in said} == {True, False} and not any(text.endswith(".0") for text in said)
    assert [row.expected["args"]["tag"] for row in made.train] == [f"{text} C" for text in said]


def test_constraints_that_nothing_satisfies_are_refused() -> None:
    task = {
        "name": "t",
        "tool": "dev",
        "draw": {"x": {"from": ["1"]}, "y": {"from": ["2"]}},
        "requests": ["{x} {y}"],
        "constraints": [{"at_most_one": ["x", "y"]}],
    }
    with pytest.raises(
        DocumentError, match=r"task `t`: whatever slots it draws, they break constraint at_most_one \[x, y\]"
    ):
        synthesise([given({"tasks": [task]})], judge, rows=3, held_out=0, seed=0)


def test_requests_with_two_answers_are_dropped_altogether() -> None:
    one = {"name": "one", "tool": "dev", "draw": {"what": {"from": ["it", "that"]}}, "requests": ["do {what}"]}
    two = {"name": "two", "tool": "stop", "requests": ["Do it."]}
    three = {"name": "three", "tool": "stop", "requests": ["stop the server"]}
    made = synthesise([given({"tasks": [one, two, three]})], judge, rows=10, held_out=0, seed=0)
    assert {task.request for task in made.train} == {"Do that", "Stop the server"}
    assert made.profile.skills["small"].train.rejected["ambiguous: the same request with another answer"] >= 2


def test_no_two_rows_are_near_duplicates(document: dict[str, Any]) -> None:
    made = synthesise([given(document, seeds=SEEDS)], judge, rows=250, held_out=50, seed=5)
    for side in (made.train, made.held_out):
        for place, left in enumerate(side):
            for right in side[:place]:
                if left.expected == right.expected:
                    ours, theirs = (set(normal_form(task.request).split()) for task in (left, right))
                    assert len(ours & theirs) / len(ours | theirs) < 0.8


def test_a_seed_that_stands_in_a_suite_is_refused_by_name(document: dict[str, Any]) -> None:
    suite = Suite(name="hard", tasks=(Seed(id="t7", request="start the  server on port 3001", expected={}),))
    other = given(None, suites=[suite], name="other")
    with pytest.raises(CheckError) as caught:
        synthesise([given(document, seeds=SEEDS), other], judge, rows=5, held_out=0, seed=0)
    assert "seed `one`" in caught.value.message
    assert "task `t7`" in caught.value.message
    assert "suite `hard` of other" in caught.value.message
    assert len(caught.value.details["overlaps"]) == 1


def test_rows_that_stand_in_a_suite_or_are_near_to_one_are_thrown_away_and_counted() -> None:
    task = {"name": "t", "tool": "stop", "requests": ["stop all of the servers now", "halt everything"]}
    same = Suite(name="s", tasks=(Seed(request="HALT everything", expected={"tool": "stop"}),))
    near = Suite(name="n", tasks=(Seed(request="do stop all of the servers now", expected={"tool": "stop"}),))
    made = synthesise([given({"tasks": [task]}, suites=[same, near])], judge, rows=10, held_out=10, seed=0)
    assert made.train == made.held_out == ()
    sides = made.profile.skills["small"]
    reasons = {*sides.train.rejected, *sides.held_out.rejected}
    assert {"stands in a suite", "near duplicate"} <= reasons
    assert made.profile.overlap.train_requests_in_suites == 0


def test_rows_that_the_verifier_refuses_are_counted_by_reason(document: dict[str, Any]) -> None:
    def strict(episodes: Sequence[Episode]) -> list[Judgement]:
        found = judge(episodes)
        for place, episode in enumerate(episodes):
            if episode.task.expected["tool"] == "stop":
                found[place] = Judgement(verdict=Verdict(status="failed", score=0.0, reasons=("no stopping",)))
        return found

    made = synthesise([given(document, seeds=SEEDS)], strict, rows=60, held_out=10, seed=0)
    assert all(task.expected["tool"] == "dev" for task in (*made.train, *made.held_out))
    assert made.profile.skills["small"].train.rejected["verifier failed: no stopping"] > 0


def test_what_only_a_contract_judges_is_judged_once_and_gives_the_same_rows(document: dict[str, Any]) -> None:
    def never(episodes: Sequence[Episode]) -> list[Judgement]:
        raise AssertionError("the contract has judged these answers when it completed them")

    skill = given(document, seeds=SEEDS)
    judged = synthesise([skill], judge, rows=120, held_out=30, seed=4)
    assert all(SMALL.judge(task.expected, SMALL.render(task.expected)).score == 1 for task in judged.train)
    alone = synthesise([replace(skill, verifier="contract.yaml")], never, rows=120, held_out=30, seed=4)
    assert alone.profile == judged.profile


def test_a_verifier_that_can_judge_nothing_is_an_error_not_an_empty_file(document: dict[str, Any]) -> None:
    def broken(episodes: Sequence[Episode]) -> list[Judgement]:
        return [Judgement(verdict=Verdict.errored("the worker died")) for _ in episodes]

    typed = given(document)
    typed = replace(typed, skill=replace(typed.skill, typed="./a b"))
    with pytest.raises(VerifierError, match="the worker died") as caught:
        synthesise([typed], broken, rows=5, held_out=0, seed=0)
    assert caught.value.hint == "run `skillpm selftest './a b'`"


def test_targets_out_of_the_contract_are_thrown_away_and_counted() -> None:
    task = {
        "name": "t",
        "tool": "stop",
        "draw": {"x": {"from": [0, 80]}},
        "args": {"port": "{x}"},
        "requests": ["stop {x}"],
    }
    made = synthesise([given({"tasks": [task]})], judge, rows=2, held_out=0, seed=0)
    assert [row.expected["args"]["port"] for row in made.train] == [80]
    assert any("breaks the contract" in reason for reason in made.profile.skills["small"].train.rejected)


def test_rows_that_hold_a_special_token_of_a_chat_template_are_thrown_away() -> None:
    values = ["a", "b<|im_end|>", "<｜end▁of▁sentence｜>", "[INST] c", "</s>", "x<|y", "a|b", "<b>d</b>"]
    task = {"name": "t", "tool": "dev", "draw": {"x": {"from": values}}, "args": {"tag": "{x}"}, "requests": ["go {x}"]}
    seed = Seed(request="say <|eot_id|>", expected={"tool": "dev"})
    made = synthesise([given({"tasks": [task]}, seeds=[seed])], judge, rows=9, held_out=0, seed=0)
    assert {row.expected["args"]["tag"] for row in made.train} == {"a", "x<|y", "a|b", "<b>d</b>"}
    rejected = made.profile.skills["small"].train.rejected
    assert rejected["holds the special token `<|im_end|>`"] and rejected["holds the special token `<|eot_id|>`"] == 1


@pytest.mark.parametrize(("field", "value"), [("tool", "unknown"), ("args", {"unknown": 1})])
def test_a_rule_that_does_not_fit_the_contract_is_refused_before_a_row_is_made(field: str, value: object) -> None:
    task = {"name": "t", "tool": "dev", "requests": ["go"], field: value}
    with pytest.raises(DocumentError, match=r"task `t`.*`unknown`"):
        synthesise([given({"tasks": [task]})], judge, rows=2, held_out=0, seed=0)


def test_weights_are_kept_and_exhausted_rules_leave_their_rows_to_the_others() -> None:
    def task(name: str, weight: float, pool: str) -> dict[str, Any]:
        draw = {"x": {"from": pool}}
        return {
            "name": name,
            "weight": weight,
            "tool": "dev",
            "draw": draw,
            "args": {"tag": "{x}"},
            "requests": [f"{name} {{x}}"],
        }

    values = {"few": {"choice": ["a", "b", "c"]}, "many": {"choice": [f"m{n}" for n in range(200)]}}
    small = given({"held_out": 0.01, "values": values, "tasks": [task("one", 1, "few"), task("two", 1, "many")]})
    made = synthesise([small], judge, rows=100, held_out=0, seed=0).profile.skills["small"].train
    assert made.families == {"one": 3, "two": 97}
    equal = given({"values": values, "tasks": [task("one", 3, "many"), task("two", 1, "many")]})
    made = synthesise([equal], judge, rows=100, held_out=0, seed=0).profile.skills["small"].train
    assert made.families == {"one": 75, "two": 25}


def test_a_plugin_s_rule_makes_rows_of_the_side_that_it_names() -> None:
    def run(skill: str, rule: str, seeds: Sequence[Seed], *, seed: int, count: int) -> list[Task]:
        made = []
        for port in range(1, 1 + min(count, 40)):
            split: Split = "held_out" if port % 4 == 0 else "train"
            expected = {"tool": "stop", "args": {"port": port}}
            made.append(
                Task.of(
                    skill="forged", system="", request=f"stop {port}", expected=expected, split=split, origin="seed"
                )
            )
        return made

    made = synthesise([given(None, rules=["ports"])], judge, rows=10, held_out=4, seed=0, run_rule=run)
    assert len(made.train) == 10
    assert len(made.held_out) == 2, "of 8 tasks that the rule was asked for, 2 were of this side"
    assert {(task.skill, task.origin, task.tags[0]) for task in made.train} == {("small", "rule", "rule:ports")}


def test_seeds_come_first_and_count_among_the_rows(document: dict[str, Any]) -> None:
    made = synthesise([given(document, seeds=SEEDS)], judge, rows=10, held_out=0, seed=0)
    assert [task.origin for task in made.train] == ["seed", "seed", *["rule"] * 8]
    assert {task.tags for task in made.train[:2]} == {(), ("hand",)}
    assert [
        task.origin for task in synthesise([given(document, seeds=SEEDS)], judge, rows=1, held_out=0, seed=0).train
    ] == ["seed"]


def test_seeds_are_half_of_the_rows_where_there_are_more_and_rules_give_the_others(document: dict[str, Any]) -> None:
    def numbered(word: str, *tags: str) -> list[Seed]:
        return [
            Seed(request=f"{word} {port}", expected={"tool": "stop", "args": {"port": port}}, tags=tags)
            for port in range(40_000, 40_030)
        ]

    def origins(document: dict[str, Any] | None, seeds: list[Seed], rows: int) -> Counter[str]:
        made = synthesise([given(document, seeds=seeds)], judge, rows=rows, held_out=0, seed=0)
        learned = sum(task.origin != "rule" for task in made.train)
        left = f"{len(seeds) - learned} of {len(seeds)} seeds are left out: ask for more rows to learn from more seeds"
        assert left in made.profile.skills["small"].notes
        return Counter(task.origin if task.origin != "seed" else task.request.split()[0] for task in made.train)

    halt, end, used = numbered("halt"), numbered("end"), numbered("kill", TRACE)
    drawn = origins(document, [*halt, *end], 20)
    assert drawn["rule"] == 10 and 0 < drawn["halt"] < 10, "of each file, not the first file alone"
    assert origins(document, [*halt, *used], 40) == {"trace": 30, "rule": 10}, "what people approved is not cut"
    assert origins(document, [*halt, *used], 20) == {"trace": 20}
    few = {"tasks": [{"name": "t", "tool": "stop", "args": {"port": 1}, "requests": ["stop one"]}]}
    assert origins(few, halt, 20) == {"rule": 1, "halt": 19}, "rules that are exhausted leave their rows to seeds"
    assert origins(None, halt, 20) == {"halt": 20}


@pytest.mark.parametrize("name", ["seed", ""])
def test_a_rule_may_have_any_name(document: dict[str, Any], name: str) -> None:
    """Also that of the seeds, and none: its rows are kept, and are shuffled among those of the other rules."""

    def run(skill: str, rule: str, seeds: Sequence[Seed], *, seed: int, count: int) -> list[Task]:
        ports = range(20_000, 20_000 + count)
        asked = [(f"please halt {port}", {"tool": "stop", "args": {"port": port}}) for port in ports]
        return [
            Task.of(skill=skill, system="", request=request, expected=answer, split="train", origin="rule")
            for request, answer in asked
        ]

    small = given(document, seeds=SEEDS, rules=[name])
    made = synthesise([small], judge, rows=60, held_out=0, seed=0, run_rule=run)
    places = [place for place, task in enumerate(made.train) if task.request.startswith("please halt")]
    families = made.profile.skills["small"].train.families
    assert len(made.train) == 60 and len(places) == families[name] - (len(SEEDS) if name == "seed" else 0) > 5
    assert [task.origin for task in made.train[: len(SEEDS) + 1]] == [*["seed"] * len(SEEDS), "rule"]
    first = made.train[len(SEEDS) : len(SEEDS) + len(places)]
    assert len({task.tags[0] for task in first}) > 2, "the first rows are of several rules"


def test_rows_are_task_documents_and_the_profile_counts_them(document: dict[str, Any]) -> None:
    made = synthesise([given(document, seeds=SEEDS)], judge, rows=50, held_out=10, seed=0)
    rows = [task for _, task in read_json_lines(Task, map(bytes.decode, made.lines["train"]))]
    assert tuple(rows) == made.train
    train = made.profile.skills["small"].train
    assert train.rows == 50 == sum(train.families.values()) == sum(train.tools.values())
    assert train.distinct_targets == len({json.dumps(row.expected) for row in rows})
    assert train.request_characters.max == max(len(row.request) for row in rows)
    assert train.request_characters.min <= train.request_characters.p50 <= train.request_characters.p95
    assert not any(made.profile.overlap.model_dump().values())


@pytest.mark.parametrize("seed", [0, 1])
def test_the_profile_counts_the_rows_that_are_left_and_no_dropped_one(document: dict[str, Any], seed: int) -> None:
    """Some are dropped by the verifier, others because a later rule asks the same with another answer."""

    def strict(episodes: Sequence[Episode]) -> list[Judgement]:
        judged = judge(episodes)
        for place, episode in enumerate(episodes):
            if int(episode.task.key, 16) % 3 == 0:
                judged[place] = Judgement(verdict=Verdict(status="failed", score=0.0, reasons=("by lot",)))
        return judged

    stop = next(task for task in document["tasks"] if task["name"] == "stop")
    start = {**stop, "name": "start", "tool": "dev", "draw": {"port": {"from": "same"}}}
    same = {"schema": {"type": ["integer"], "minimum": 10_000, "maximum": 10_020}}  # which is not listed
    pools = {**document["values"], "wide": {"integers": [10_000, 10_040]}, "same": same}
    small = given({**document, "values": pools, "tasks": [*document["tasks"], start]}, seeds=SEEDS)
    made = synthesise([small], strict, rows=150, held_out=30, seed=seed)
    sides = made.profile.skills["small"]
    for profile, rows in ((sides.train, made.train), (sides.held_out, made.held_out)):
        assert profile.rejected["verifier failed: by lot"] and len(rows) == len({task.key for task in rows})
        again = Measurement([*SMALL.tools.values()], ("call",))
        answers = [task.expected for task in rows]
        again.add(answers, [len(task.request) for task in rows], [len(SMALL.render(answer)) for answer in answers])
        assert {**again.figures()} == {name: getattr(profile, name) for name in again.figures()}
        assert profile.distinct_targets == len({canonical_json(task.expected) for task in rows})
        assert profile.families == Counter(
            task.tags[0].removeprefix("rule:") if task.origin == "rule" else "seed" for task in rows
        )
    assert sides.train.rejected["ambiguous: the same request with another answer"]


def test_a_line_is_the_document_of_its_task(document: dict[str, Any]) -> None:
    named = given({**document, "tasks": document["tasks"][2:]}, name='sm"äll', seeds=SEEDS)
    made = synthesise([named], judge, rows=10, held_out=2, seed=0)
    for line, task in zip(made.lines["train"], made.train, strict=True):
        assert json.loads(line) == task_document(task) and line.isascii()
        again = Task.of(
            skill=task.skill, system=named.prompt, request=task.request, expected=task.expected, split="train",
            origin=task.origin, tags=task.tags,
        )  # fmt: skip
        assert again == task


SCRIPT = """
import json, sys
from pathlib import Path
from skillpm.contract.contract import Contract
from skillpm.model.contract import ContractDocument
from skillpm.model.skill import Skill
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions
from skillpm.synth.generate import synthesise
document, contract, root = json.load(sys.stdin)
contract = Contract(ContractDocument.model_validate(contract))
synthesis = SynthesisDocument.model_validate({"synthesis": 1, **document})
judge = lambda found: [Judgement(verdict=contract.judge(e.task.expected, e.completion)) for e in found]
skill = Skill("small", "1", "0" * 64, Path(root))
given = Contributions(skill=skill, contract=contract, prompt="p", synthesis=synthesis)
print(synthesise([given], judge, rows=200, held_out=40, seed=4).profile.model_dump_json())
"""


def test_the_bytes_do_not_depend_on_hash_seeds_or_paths(document: dict[str, Any]) -> None:
    from tests.synth.conftest import CONTRACT

    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            input=json.dumps([document, CONTRACT, root]),
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed, root in (("0", "/a"), ("1", "/b"), ("77", "/c/d"))
    }
    assert len(outputs) == 1
    assert json.loads(outputs.pop())["digests"]


def test_another_seed_gives_other_rows_and_the_same_seed_the_same(document: dict[str, Any]) -> None:
    digests = [
        synthesise([given(document)], judge, rows=50, held_out=10, seed=seed).profile.digests["train"]
        for seed in (1, 1, 2)
    ]
    assert digests[0] == digests[1] != digests[2]


WORDS = st.sampled_from(["alpha", "b c", "./x", "Y.z", "it's", "9", "-", "a"])
SLOTS = ("one", "two", "three")
FORMS = (("with", ""), ("", " ,"), ("on", ""))


@st.composite
def documents(draw: Any) -> dict[str, Any]:
    """Small documents with one task of up to three slots."""
    pools = {
        "words": {"choice": draw(st.lists(WORDS, min_size=1, max_size=8, unique=True))},
        "ports": {"integers": draw(st.tuples(st.integers(1, 50), st.integers(51, 400)))},
        "joined": {"template": "{words}/{ports}"},
    }
    names = SLOTS[: draw(st.integers(1, 3))]
    argument = {"words": "path", "joined": "tag", "ports": "port"}
    sources = draw(st.permutations(list(argument)))[: len(names)]
    chances = [draw(st.sampled_from([0.3, 0.8, 1.0])) for _ in names]
    draws = {
        name: {"from": source, "probability": chance}
        for name, source, chance in zip(names, sources, chances, strict=True)
    }
    requests = draw(
        st.lists(st.sampled_from(["go [*]", "run [one] [*]", "start, [*] now", "do [*] ."]), min_size=1, unique=True)
    )
    clauses = {  # each names its slot, or nobody could tell two slots of one value from each other
        name: draw(st.lists(st.sampled_from([f"{form} {name} {{{name}}}{end}" for form, end in FORMS]), min_size=1))
        for name in names
    }
    return {
        "held_out": draw(st.sampled_from([0.1, 0.3, 0.6])),
        "values": pools,
        "tasks": [
            {
                "name": "t",
                "tool": "dev",
                "draw": draws,
                "args": {argument[source]: f"{{{name}}}" for name, source in zip(names, sources, strict=True)},
                "requests": requests,
                "clauses": clauses,
            }
        ],
    }


@settings(max_examples=40)
@given_by_hypothesis(document=documents(), seed=st.integers(0, 3))
def test_any_document_gives_right_labels_and_disjoint_sides(document: dict[str, Any], seed: int) -> None:
    made = synthesise([given(document)], judge, rows=15, held_out=5, seed=seed)
    for task in (*made.train, *made.held_out):
        assert SMALL.problems(task.expected) == []
        assert all(text in task.request for text in shown(task))
        assert "  " not in task.request
    assert not any(made.profile.overlap.model_dump().values())
    again = synthesise([given(document)], judge, rows=15, held_out=5, seed=seed)
    assert again.profile == made.profile


def test_a_class_that_is_held_out_but_never_trained_is_said() -> None:
    """No training phrasing can say the slot, so only held-out rows have it."""
    notes = []
    for words, last in ((("go", "run", "do"), "try"), (("try", "run", "do"), "go")):
        task = {
            "name": "t",
            "tool": "dev",
            "draw": {"x": {"from": "x", "probability": 0.5}},
            "args": {"tag": "{x}"},
            "requests": [*(f"{word} it" for word in words), f"{last} it [x]"],
            "clauses": {"x": ["to {x}"]},
        }
        values = {"x": {"choice": ["a1", "b2", "c3", "d4", "e5"]}}
        made = synthesise([given({"values": values, "tasks": [task]})], judge, rows=3, held_out=2, seed=0)
        notes += [note for note in made.profile.skills["small"].notes if "training rows never do" in note]
    assert any("held-out rows show `dev` with `tag` given" in note for note in notes)


def test_what_is_doubtful_in_the_rules_is_said() -> None:
    """Exchanged slots, values of blanks, requests that say a value by themselves, and answers that are refused."""
    task = {
        "name": "move",
        "tool": "dev",
        "draw": {"path": {"from": ["a1", "b2", ""]}, "tag": {"from": ["c3", "d4", "e5"]}},
        "args": {"path": "{tag}", "tag": "{path}"},
        "requests": ["move {path} to {tag}", "put {path} to c3 [tag]"],
        "clauses": {"tag": ["or {tag}"]},
    }
    made = synthesise([given({"tasks": [task]})], judge, rows=2, held_out=0, seed=0)
    notes = " ".join(made.profile.skills["small"].notes)
    assert "`path` gets the value of `tag`" in notes
    assert 'nothing says the value ""' in notes
    assert "says a value of `tag` by itself" in notes
    assert "the contract refuses" in notes


def test_near_duplicates_of_every_suite_are_refused_whosoever_it_is_and_whatever_else_is_near_to_it() -> None:
    words = "stop every one of the servers now"
    chain = [f"{words} at once", f"{words} at once please", f"{words} at once please sir"]  # each is near the next
    asked = f"{words} once please sir"  # and near the last two
    suite = Suite(name="s", tasks=tuple(Seed(request=text, expected={"tool": "stop", "args": {}}) for text in chain))
    foreign = Suite(name="f", tasks=(Seed(request=chain[0], expected={"tool": "unknown", "args": {}}),))
    task = {"name": "t", "tool": "stop", "requests": [asked]}
    for tasks, taken in ((suite, 0), (suite.model_copy(update={"tasks": suite.tasks[:1]}), 1), (foreign, 1)):
        made = synthesise([given({"tasks": [task]})], judge, rows=1, held_out=0, seed=0, other_suites=[("twin", tasks)])
        assert len(made.train) == taken


def test_what_was_asked_in_use_and_stands_in_a_suite_is_left_out_and_stops_nobody() -> None:
    answer = {"tool": "stop", "args": {"port": 5}}
    seeds = [
        Seed(request=text, expected=answer, tags=(TRACE,)) for text in ("Stop port 5!", "halt port number 5 today")
    ]
    suite = Suite(name="s", tasks=(Seed(request="stop port 5", expected=answer),))
    made = synthesise([given(None, seeds=seeds)], judge, rows=2, held_out=0, seed=0, other_suites=[("far", suite)])
    assert [task.request for task in made.train] == [seeds[1].request]
    assert made.profile.skills["small"].train.rejected == {"stands in a suite": 1}


def test_a_suite_request_that_a_rule_can_say_with_other_values_is_told_with_its_rule(document: dict[str, Any]) -> None:
    """Of another skill that is installed, too."""
    said = [
        Seed(request="Could you stop what listens on 81?", expected={"tool": "stop", "args": {"port": 81}}),
        Seed(request="Make an end of port 82", expected={"tool": "stop", "args": {"port": 82}}),
    ]
    suite = Suite(name="other", tasks=tuple(said))
    made = synthesise([given(document)], judge, rows=5, held_out=0, seed=0, other_suites=[("far", suite)])
    ((place, phrasing),) = made.profile.overlap.suite_requests_in_rules
    assert "of suite `other` of far" in place
    assert phrasing == "stop what listens on {port}"
    assert any("rules can say a suite request" in note for note in made.profile.skills["small"].notes)


def test_a_seed_that_shares_eight_words_with_a_suite_is_left_out_and_told() -> None:
    long = "list every open port of the machine in the cellar"
    answer = {"tool": "stop", "args": {"port": 1}}
    suite = Suite(name="held", tasks=(Seed(request=f"{long} now", expected=answer),))
    seeds = [Seed(request=f"today {long}", expected={"tool": "dev", "args": {}}), Seed(request="stop", expected=answer)]
    made = synthesise([given(None, seeds=seeds, suites=[suite])], judge, rows=2, held_out=0, seed=0)
    assert [task.request for task in made.train] == ["stop"]
    assert any("shares 8 words with" in note for note in made.profile.skills["small"].notes)


@pytest.mark.parametrize(
    ("seed", "is_left_out"),
    [
        ("stop what listens there now", True),  # another word
        ("stop what really listens there today", True),  # a word more
        ("stop what listens today", True),  # a word less
        ("there listens today what stop", True),  # the same words
        ("halt whatever listens there now", False),
    ],
)
def test_a_seed_that_is_a_suite_request_but_for_a_word_is_left_out(seed: str, is_left_out: bool) -> None:
    """However the keys of its answer are ordered; another answer shows which word matters."""
    args, other = {"port": 1}, {"tool": "dev", "args": {}}
    suite = Suite(
        name="held", tasks=(Seed(request="stop what listens there today", expected={"args": args, "tool": "stop"}),)
    )
    seeds = [Seed(request=seed, expected={"tool": "stop", "args": args}), Seed(request="begin", expected=other)]
    made = synthesise([given(None, seeds=seeds, suites=[suite])], judge, rows=2, held_out=0, seed=0)
    assert [task.request for task in made.train].count(seed) == (not is_left_out)
    differing = [Seed(request=seed, expected=other)]
    assert len(synthesise([given(None, seeds=differing, suites=[suite])], judge, rows=1, held_out=0, seed=0).train) == 1


def test_slips_touch_words_and_never_values(document: dict[str, Any]) -> None:
    made = synthesise([given({**document, "slips": 1.0})], judge, rows=200, held_out=0, seed=0)
    plain = {
        word
        for text in (
            "start the server bring it up run now serve stop what listens on end port kill shut down",
            "at listening as tagged without a browser quietly and open nothing is to be served the folder",
            "use then please could you Now end",
        )
        for word in text.casefold().split()
    }
    for task in made.train:
        assert all(text in task.request for text in shown(task))
    words = {word.strip(".,?").casefold() for task in made.train for word in task.request.split() if word.isalpha()}
    slips = {word for word in words if word not in plain and sorted(word) in [sorted(known) for known in plain]}
    assert len(slips) > 10


@pytest.mark.parametrize(("framed", "least", "most"), [(0.0, 0, 0), (0.5, 70, 130), (1.0, 200, 200)])
def test_a_share_of_the_rows_has_a_frame(document: dict[str, Any], framed: float, least: int, most: int) -> None:
    rules = {**document, "framed": framed, "frames": ["so then: {request}"]}
    made = synthesise([given(rules)], judge, rows=200, held_out=0, seed=0)
    assert least <= sum(task.request.startswith("so then: ") for task in made.train) <= most


def test_held_out_rows_say_what_is_new_in_them_and_which_template_made_them(document: dict[str, Any]) -> None:
    made = synthesise([given(document)], judge, rows=200, held_out=100, seed=0)
    answers = {canonical_json(task.expected) for task in made.train}
    assert not any(tag.startswith(("new:", "template:")) for task in made.train for tag in task.tags)
    news: Counter[str] = Counter()
    for task in made.held_out:
        (new,) = [tag for tag in task.tags if tag.startswith("new:")]
        (template,) = [tag for tag in task.tags if tag.startswith("template:")]
        assert template.startswith(f"template:{task.tags[0].removeprefix('rule:')}/")
        news[new] += 1
        if canonical_json(task.expected) in answers:
            assert new == "new:phrasing"
    assert news["new:both"] + news["new:value"]


@pytest.mark.slow
def test_rows_are_on_disk_not_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row costs its place and, until there are 16,384 words, a rank for each new word, however long its request.

    The requests that were read last stay in memory: 32,768 of them, here 256.
    """
    monkeypatch.setattr("skillpm.synth.dedupe.DigestMap", lambda most=256: DigestMap(min(most, 256)))
    long = "with all the notes that came with it " * 40
    task = {
        "name": "t",
        "tool": "dev",
        "draw": {"x": {"from": "x"}},
        "args": {"port": "{x}"},
        "requests": [f"{start} {{x}} {long}" for start in ("go", "run", "start", "use")],
    }
    small = given({"values": {"x": {"integers": [1, 30000]}}, "tasks": [task]})
    peaks = {}
    for rows in (1200, 3200):
        tracemalloc.start()
        made = synthesise([small], judge, rows=rows, held_out=0, seed=0)
        peaks[rows] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert made.lines["train"].count == rows
    assert (peaks[3200] - peaks[1200]) / 2000 < 500


def test_the_first_answers_of_a_rule_are_filled_completed_and_checked_as_the_last_one_is() -> None:
    """They stand in the row's line with every argument; a call that the contract refuses makes no row."""
    rule = {
        "name": "look",
        "tool": "dev",
        "draw": {"port": {"from": "port"}},
        "args": {"port": "{port}"},
        "first": [{"tag": "all"}, {"tag": "of {port}", "quiet": True}],
        "requests": ["look, then serve {port}", "see what is there, then take {port}", "peek and serve at {port}"],
    }
    broken = {**rule, "name": "broken", "first": [{"port": 0}]}
    marked = {**rule, "name": "marked", "first": [{"tag": "<|im_end|>"}]}
    document = {"values": {"port": {"integers": [3000, 3400]}}, "tasks": [rule, broken, marked]}

    made = synthesise([given(document)], judge, rows=40, held_out=10, seed=1)

    assert len(made.train) > 20 and all("rule:look" in task.tags for task in made.train)
    for task in (*made.train, *made.held_out):
        port = task.expected["args"]["port"]
        nothing = dict.fromkeys(("port", "tag", "path", "quiet"))
        assert task.first == (
            {"tool": "dev", "args": nothing | {"tag": "all"}},
            {"tool": "dev", "args": nothing | {"tag": f"of {port}", "quiet": True}},
        )
    assert made.profile.skills["small"].train.rejected


def test_first_answers_are_calls_of_the_rule_s_tool() -> None:
    rule = {"name": "no", "refuse": "off_topic", "requests": ["sing"], "first": [{"port": 1}]}
    with pytest.raises(ValueError, match="`args`, `ask` and `first` need `tool`"):
        given({"tasks": [rule]})
    lost = {"name": "look", "tool": "dev", "requests": ["look"], "first": [{"port": "{gone}"}]}
    with pytest.raises(ValueError, match="slot `gone` is used but not in `draw`"):
        given({"tasks": [lost]})


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"type": "boolean"}, 2),
        ({"const": {"a": 1}}, 1),
        ({"enum": ["a", "b", "c", 4.0, "other"], "not": {"const": "other"}}, 4),
        ({"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2}, 4),
        ({"type": "number", "minimum": 0, "maximum": 0.5, "multipleOf": 0.5}, None),  # nobody lists its two values
        ({"type": ["integer", "null"], "minimum": 5, "maximum": 5}, None),
    ],
)
def test_a_schema_of_few_values_has_them_on_both_sides_or_ends_soon(schema: dict[str, Any], values: int | None) -> None:
    requests = [f"{word} {{x}}" for word in ("go", "run", "do", "take", "use")]
    task = {"name": "t", "tool": "dev", "draw": {"x": {"from": "few"}}, "args": {"x": "{x}"}, "requests": requests}
    small = replace(given({"values": {"few": {"schema": schema}}, "tasks": [task]}), contract=None)
    passed = Judgement(verdict=Verdict(status="passed", score=1.0))
    made = synthesise([small], lambda rows: [passed] * len(rows), rows=4, held_out=1, seed=0)
    pool = made.profile.skills["small"].pools["few"]
    assert made.train and (values is None) == (pool.train is None) and pool.values == (values or LISTED + 1)
    assert made.held_out or "has no value on this side" in made.profile.skills["small"].held_out.shortage
