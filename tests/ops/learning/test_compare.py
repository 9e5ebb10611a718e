"""Two stored evaluations held against each other, and the word for a candidate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from skillpm.evals.stored_records import read_stored
from skillpm.model.evaluation import Evaluation
from tests.conftest import Outcome, Project
from tests.scripted_policy import MakeArm, Server
from tests.shop import MakeProject

Stored = Callable[..., Path]


@pytest.fixture
def stored(server: Server, make_arm: MakeArm, tmp_path: Path) -> Stored:
    """Return ``stored(name, right ports, gate)``, the file of an evaluation with 40 tasks and one arm."""

    def make(
        name: str, right: Iterable[int], at_least: float | None = None, ports: Sequence[int] = range(1, 41)
    ) -> Path:
        suite = {} if at_least is None else {"gate": {"at_least": at_least}}
        server.write(ports, **suite)
        evaluation = server.assembled(make_arm("sft", list(right)))
        path = tmp_path / f"{name}.json"
        path.write_text(evaluation.text())
        return path

    return make


@pytest.fixture
def shop(project: MakeProject) -> Project:
    return project()


def test_arms_of_two_files_are_paired_and_their_flips_are_listed(shop: Project, stored: Stored) -> None:
    first, second = stored("first", range(1, 11)), stored("second", range(3, 31))
    document = shop.call("compare", first, second, "--json").ok().document
    (pairs,) = document["comparisons"]
    assert (pairs["pairs"], pairs["gained"], pairs["lost"], pairs["finding"]) == (40, 20, 2, "better")
    lines = shop.call("compare", first, second, "--flips").ok().out.splitlines()
    flips = [json.loads(line) for line in lines]
    assert flips == document["flips"]
    lost = [flip["request"] for flip in flips if flip["change"] == "lost"]
    assert lost == [Server.request(1), Server.request(2)]
    shown = shop.call("compare", first, second).ok()
    assert "better" in shown.out and "A is sft" in shown.err


@pytest.mark.parametrize(
    ("right", "at_least", "baseline", "word", "code"),
    [
        (range(1, 41), 0.9, None, "GO", 0),
        (range(1, 11), 0.9, None, "NO-GO", 1),
        (range(1, 37), 0.9, None, "INCONCLUSIVE", 11),
        (range(1, 41), None, range(1, 41), "INCONCLUSIVE", 11),  # 40 equal answers do not exclude a loss of 5 points
        (range(1, 41), 0.9, range(1, 21), "GO", 0),
        (range(1, 21), None, range(1, 41), "NO-GO", 1),
        (range(1, 39), None, range(1, 41), "INCONCLUSIVE", 11),
        (range(1, 41), 0.9, range(1, 2), "GO", 0),
        (range(1, 21), 0.9, range(1, 21), "NO-GO", 1),
    ],
)
def test_the_far_end_of_an_interval_refuses_and_the_near_end_lets_through(
    shop: Project, stored: Stored, right: range, at_least: float | None, baseline: range | None, word: str, code: int
) -> None:
    options = [] if baseline is None else ["--baseline", str(stored("baseline", baseline))]
    candidate = stored("candidate", right, at_least)
    document = gated(shop, candidate, *options).document
    assert (document["decision"], document["exit_code"]) == (word, code)
    shown = shop.call("gate", candidate, *options)
    assert shown.code == code and shown.out.endswith(f"\n{word}\n")


def gated(shop: Project, candidate: Path, *options: str) -> Outcome:
    return shop.call("gate", candidate, *options, "--json")


def rewritten(path: Path, document: dict[str, Any], **arm: Any) -> None:
    """Write another evaluation with its only arm changed, as if it had been asked so."""
    path.write_text(Evaluation.model_validate(document | {"arms": [document["arms"][0] | arm]}).text())


def test_a_loss_within_the_margin_is_let_through(shop: Project, stored: Stored) -> None:
    options = ("--baseline", str(stored("baseline", range(1, 41))))
    candidate = stored("candidate", range(1, 39))
    assert gated(shop, candidate, *options, "--margin", "0.2").document["decision"] == "GO"


def test_a_task_set_that_only_the_baseline_was_judged_on_keeps_a_candidate_back(shop: Project, stored: Stored) -> None:
    baseline, candidate = stored("baseline", range(1, 21)), stored("candidate", range(1, 41))
    options = ("--baseline", str(baseline))
    assert gated(shop, candidate, *options).document["decision"] == "GO"
    document = json.loads(baseline.read_text())
    document["task_sets"].append(document["task_sets"][0] | {"name": "harder"})
    (arm,) = document["arms"]
    errored = {"status": "errored", "score": None}
    unjudged = [record | {"suite": "harder", "verdict": errored, "exact": False} for record in arm["records"][:5]]
    rewritten(baseline, document, records=arm["records"] + unjudged)
    assert gated(shop, candidate, *options).document["decision"] == "GO", "nobody was judged on it"
    judged = [record | {"verdict": arm["records"][0]["verdict"], "exact": True} for record in unjudged]
    rewritten(baseline, document, records=arm["records"] + judged)
    assert "harder: only the baseline was judged on it" in shop.call("gate", candidate, *options).fails(11).out
    assert "harder: only A was judged on it" in shop.call("compare", baseline, candidate).ok().err
    assert gated(shop, baseline, "--baseline", str(candidate)).document["decision"] == "NO-GO"


def test_what_was_read_without_its_digests_is_called_unchecked_and_never_let_through(
    shop: Project, stored: Stored, tmp_path: Path
) -> None:
    """Rescoring it writes digests of what it finds, which show nothing of before: it stays unchecked."""
    baseline, candidate = stored("baseline", range(1, 21)), stored("candidate", range(1, 41), 0.9)
    options = ("--baseline", str(baseline), "--floors", str(baseline))
    assert gated(shop, candidate, *options).document["decision"] == "GO"
    document = json.loads(candidate.read_text())
    arms = [arm | {"contents": None} for arm in document["arms"]]
    candidate.write_text(json.dumps(document | {"evaluation": 4, "arms": arms}))
    said = "nothing shows whether requests and expected answers were changed since"
    (tmp_path / "again.json").write_text(read_stored(candidate).text())
    for file in (candidate, tmp_path / "again.json"):
        assert said in shop.call("gate", file, *options).fails(11).out
        assert said in shop.call("gate", baseline, "--baseline", file).fails(1).out
        assert said in shop.call("compare", baseline, file).ok().err
        assert any(said in caveat for caveat in shop.call("report", file, "--json").ok().document["caveats"])


def test_a_sample_is_called_so_where_evaluations_are_judged(shop: Project, stored: Stored) -> None:
    whole, sampled = stored("whole", range(1, 41)), stored("sampled", range(1, 41))
    document = json.loads(sampled.read_text())
    document["task_sets"][0]["of"] = 60
    rewritten(sampled, document)
    said = "sampled.json: server, handwritten: 40 of 60 tasks"
    assert said in shop.call("gate", whole, "--baseline", sampled, "--margin", "0.2").ok().err
    assert said in shop.call("compare", whole, sampled).ok().err
    (caveat,) = gated(shop, sampled, "--baseline", str(whole)).document["caveats"]
    assert said in caveat


def test_what_was_asked_differently_is_called_so_where_it_decides(shop: Project, stored: Stored) -> None:
    first, second = stored("first", range(1, 41)), stored("second", range(1, 41))
    document = json.loads(second.read_text())
    document["arms"][-1]["settings"]["dtype"] = "bfloat16"
    rewritten(second, document)
    said = "they were asked differently: dtype not recorded, bfloat16"
    assert said in shop.call("compare", first, second).ok().err
    for option in ("--baseline", "--floors"):
        (caveat,) = gated(shop, second, option, str(first)).document["caveats"]
        assert caveat == f"{first}: {said}"


def test_what_cannot_be_compared_is_a_usage_error(
    shop: Project, stored: Stored, server: Server, make_arm: MakeArm, tmp_path: Path
) -> None:
    whole = stored("whole", range(1, 41))
    shop.call("gate", whole).fails(2, "no suite has a gate", "--baseline", "--floors")
    shop.call("compare", whole, whole, "--arm", "sfd").fails(2, "no arm `sfd`", "did you mean `sft`?")
    shop.call("compare", whole, tmp_path / "none.json").fails(2)
    server.write(range(100, 120))
    other = server.assembled(make_arm("sft", []))
    (tmp_path / "other.json").write_text(other.text())
    shop.call("compare", whole, tmp_path / "other.json").fails(2, "share no task")


def test_what_decides_nothing_says_so_and_how_many_tasks_would(shop: Project, stored: Stored) -> None:
    first, second = stored("first", range(1, 21)), stored("second", range(2, 22))
    assert "no task flipped" in shop.call("compare", first, first, "--flips").ok().err
    said = shop.call("gate", second, "--baseline", first).fails(11).out
    assert "it may lose 5 points; about " in said and "tasks would tell" in said


@pytest.mark.parametrize(
    ("right", "earlier", "word"),
    [
        (40, 40, "GO"),
        (37, 40, "GO"),  # the lower end of 40 of 40 is 0.912
        (36, 40, "INCONCLUSIVE"),
        (28, 40, "NO-GO"),
        (30, 20, "GO"),
    ],
)
def test_a_candidate_may_not_fall_below_what_an_earlier_one_was_shown_to_reach(
    shop: Project, stored: Stored, right: int, earlier: int, word: str
) -> None:
    candidate, before = stored("candidate", range(1, right + 1)), stored("before", range(1, earlier + 1))
    document = gated(shop, candidate, "--floors", str(before)).document
    assert document["decision"] == word
    (finding,) = document["findings"]
    assert f"of 40 answers are exact; the floor is {0.912 if earlier == 40 else 0.352:.3f}" in finding["sentence"]


def test_a_floor_of_what_was_not_judged_lets_nothing_through(shop: Project, stored: Stored) -> None:
    before, candidate = stored("before", range(1, 41)), stored("candidate", range(1, 41))
    document = json.loads(candidate.read_text())
    (arm,) = document["arms"]
    rewritten(candidate, document, records=arm["records"][:9])
    (finding,) = gated(shop, candidate, "--floors", str(before)).document["findings"]
    assert (finding["word"], "9 answers were judged" in finding["sentence"]) == ("INCONCLUSIVE", True)
    document["task_sets"][0]["name"] = "other"
    records = [record | {"suite": "other"} for record in arm["records"]]
    rewritten(candidate, document, records=records)
    assert "0 answers were judged" in shop.call("gate", candidate, "--floors", before).fails(11).out


def test_a_floor_holds_for_the_tasks_that_it_is_of(shop: Project, stored: Stored) -> None:
    """A suite of the same name with an easier task, or without the hard ones, is another one."""
    before = stored("before", range(1, 41))
    for name, ports in (("fewer", range(1, 31)), ("other", range(2, 42))):
        candidate = stored(name, range(1, 42), ports=ports)
        said = shop.call("gate", candidate, "--floors", before).fails(11).out
        assert f"{10 if name == 'fewer' else 2} tasks were asked of one alone" in said


def test_tasks_that_only_the_baseline_was_judged_on_keep_a_candidate_back(shop: Project, stored: Stored) -> None:
    """They may be those that the candidate answers worst, as where its answers break the verifier."""
    baseline, candidate = stored("baseline", range(1, 31)), stored("candidate", range(1, 41))
    options = ("--baseline", str(baseline))
    assert gated(shop, candidate, *options).document["decision"] == "GO"
    document = json.loads(candidate.read_text())
    records = document["arms"][0]["records"]
    said = "handwritten: only the baseline was judged on 3 of its 40 tasks"
    for status in ("errored", "abstained"):
        unjudged = [record | {"verdict": {"status": status, "score": None}, "exact": False} for record in records[:3]]
        rewritten(candidate, document, records=unjudged + records[3:])
        assert said in shop.call("gate", candidate, *options).fails(11).out
    rewritten(candidate, document, records=records[3:])
    assert said in shop.call("gate", candidate, *options).fails(11).out


def test_a_gate_needs_ten_answers_and_a_verdict_on_each(shop: Project, stored: Stored) -> None:
    few = stored("few", range(1, 10), 0.5, ports=range(1, 10))
    assert "10 answers are the least that say anything" in shop.call("gate", few).fails(11).out
    candidate = stored("candidate", range(1, 41), 0.5)
    document = json.loads(candidate.read_text())
    records = document["arms"][0]["records"]
    abstained = records[0] | {"verdict": {"status": "abstained", "score": None}, "exact": False}
    rewritten(candidate, document, records=[abstained, *records[1:]])
    assert "1 answer could not be judged" in shop.call("gate", candidate).fails(11).out


def test_a_candidate_is_not_held_against_itself(shop: Project, stored: Stored) -> None:
    candidate = stored("candidate", range(1, 41))
    for flag in ("--baseline", "--floors"):
        shop.call("gate", candidate, flag, candidate).fails(2, f"`{flag}` is the candidate itself", "--arm")
