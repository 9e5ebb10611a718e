"""Pairing arms, merging evaluations, and gates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from skillpm.errors import DocumentError
from skillpm.evals.assemble import assemble
from skillpm.evals.compare import Comparison, compare, comparisons, merge, together
from skillpm.evals.gate import check_gates
from skillpm.model.evaluation import Arm, Evaluation
from skillpm.model.verdict import Verdict
from skillpm.runtime.catalogue import build_catalogue
from skillpm.runtime.host import Host
from tests.present import present
from tests.scripted_policy import MakeArm, Server


def paired(first: Arm, second: Arm) -> Comparison:
    return compare(first, second, skill="server", task_set="handwritten", reward="graded")


def test_flips_are_counted_to_both_sides(make_arm: MakeArm) -> None:
    found = paired(make_arm("base", [1, 2, 3]), make_arm("sft", [3, 4, 5, 6, 7]))
    assert (found.both, found.gained, found.lost, found.neither) == (1, 4, 2, 5)
    assert present(found.difference).estimate == pytest.approx(2 / 12)
    assert present(found.reward_difference).estimate == pytest.approx(2 / 12)
    assert found.finding == "no evidence"


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ([], range(1, 7), "better"),
        (range(1, 7), [], "worse"),
        ([], range(1, 6), "no evidence"),
        ([], [], "no evidence"),
    ],
)
def test_a_word_is_given_only_where_the_exact_test_bears_it(
    make_arm: MakeArm, before: Sequence[int], after: Sequence[int], finding: str
) -> None:
    assert paired(make_arm("base", list(before)), make_arm("sft", list(after))).finding == finding


def test_comparisons_that_are_made_together_bear_their_words_together(make_arm: MakeArm) -> None:
    """Six flips of six are better alone (p = 0.031), and no evidence as one of two; too few pairs do not count."""
    alone = paired(make_arm("base", []), make_arm("sft", list(range(1, 7))))
    few = replace(alone, gained=6, both=0, lost=0, neither=0)
    assert [item.finding for item in together([alone, few])] == ["better", "too few pairs"]
    (one, _) = together([alone, alone])
    assert (one.finding, one.p, one.p_adjusted) == ("no evidence", alone.p, 2 * alone.p)


def test_too_few_pairs_give_no_word_however_clear(server: Server, make_arm: MakeArm) -> None:
    server.write(range(1, 10))
    assert paired(make_arm("base", []), make_arm("sft", list(range(1, 10)))).finding == "too few pairs"


def test_a_task_that_one_arm_was_not_judged_on_is_no_pair(make_arm: MakeArm) -> None:
    base, sft = make_arm("base", []), make_arm("sft", [1])
    errored = sft.records[0].model_copy(update={"verdict": Verdict.errored("out"), "exact": False})
    sft = sft.model_copy(update={"records": (errored, *sft.records[1:])})
    assert paired(base, sft).pairs == 11
    assert paired(base, sft).gained == 0


def test_every_arm_is_compared_with_the_first_and_with_the_one_before_it(server: Server, make_arm: MakeArm) -> None:
    arms = [make_arm(name, []) for name in ("base", "base+skill", "sft", "grpo")]
    pairs = [(item.first, item.second) for item in comparisons(server.assembled(*arms))]
    assert pairs == [("base", "base+skill"), ("base", "sft"), ("base+skill", "sft"), ("base", "grpo"), ("sft", "grpo")]


def test_merging_keeps_the_earlier_arms_on_the_tasks_that_both_asked(server: Server, make_arm: MakeArm) -> None:
    earlier = server.assembled(make_arm("base", [1]), make_arm("sft", []))
    server.write(range(1, 5))
    later = server.assembled(make_arm("sft", [1, 2]))
    merged = merge(earlier, later)
    assert [(arm.name, len(arm.records)) for arm in merged.arms] == [("base", 4), ("sft", 4)]
    assert sum(record.exact for record in present(merged.arm("sft")).records) == 2


def test_merging_leaves_out_an_arm_that_shares_no_task(server: Server, make_arm: MakeArm) -> None:
    earlier = server.assembled(make_arm("base", [1]))
    server.write(range(100, 105))
    assert [arm.name for arm in merge(earlier, server.assembled(make_arm("sft", []))).arms] == ["sft"]


def test_an_evaluation_survives_being_written_and_read(server: Server, make_arm: MakeArm) -> None:
    evaluation = server.assembled(make_arm("base", [1], **{"start it on 2": "ü \u202e <script>"}))
    assert Evaluation.parse(evaluation.text(), path="x") == evaluation


def test_the_digest_of_the_data_is_that_of_the_tasks_in_any_order(server: Server) -> None:
    tasks, contributions = server.tasks(), build_catalogue([server.skill], Host())
    keys = sorted([task.task.skill, task.suite, task.task.key] for task in tasks)
    digest = hashlib.sha256(json.dumps(keys, separators=(",", ":")).encode()).hexdigest()
    assert len(keys) > 1
    assert {assemble(contributions, order, []).data for order in (tasks, tasks[::-1], tasks * 2)} == {digest}


@pytest.mark.parametrize(("right", "outcome"), [(12, "passed"), (11, "inconclusive"), (5, "failed")])
def test_a_gate_is_held_against_the_ends_of_the_interval(
    server: Server, make_arm: MakeArm, right: int, outcome: str
) -> None:
    """Of 12 tasks: 12 right is [0.757, 1], 11 right [0.646, 0.985], 5 right [0.193, 0.680]."""
    server.write(range(1, 13), gate={"metric": "exact_match", "at_least": 0.7})
    (gate,) = check_gates(server.assembled(make_arm("sft", list(range(1, right + 1)))), "sft")
    assert (gate.outcome, gate.passed) == (outcome, outcome == "passed")
    assert "the gate asks for 0.7" in gate.sentence


def test_a_gate_on_one_task_is_inconclusive(server: Server, make_arm: MakeArm) -> None:
    server.write([1], gate={"metric": "exact_match", "at_least": 0.1})
    (gate,) = check_gates(server.assembled(make_arm("sft", [1])), "sft")
    assert (gate.outcome, gate.passed) == ("inconclusive", False)


def test_arms_on_rows_of_few_templates_are_compared_by_whole_templates(make_arm: MakeArm) -> None:
    """Ten flips to one side are clear for ten tasks (p = 0.002), and no evidence where one template made them all."""
    base, sft = make_arm("base", []), make_arm("sft", list(range(1, 11)))
    assert paired(base, sft).finding == "better"
    one = [item.model_copy(update={"tags": ("template:a",)}) for item in sft.records[:10]]
    clustered = paired(base, sft.model_copy(update={"records": (*one, *sft.records[10:])}))
    assert (clustered.finding, clustered.p) == ("no evidence", 1.0)
    difference = present(clustered.difference)
    assert difference.low < 0 < difference.high


def test_few_large_gains_outweigh_more_small_losses(server: Server, make_arm: MakeArm) -> None:
    """Of eight answers each, six tasks go from none right to all, and seven lose one."""
    server.write(range(1, 14))

    def repeated(name: str, right: Sequence[int]) -> Arm:
        arms = [make_arm(name, [task for task, times in enumerate(right, 1) if time < times]) for time in range(8)]
        records = [item.model_copy(update={"repeat": time}) for time, arm in enumerate(arms) for item in arm.records]
        return arms[0].model_copy(update={"records": tuple(records)})

    before, after = repeated("base", [0] * 6 + [8] * 7), repeated("sft", [8] * 6 + [7] * 7)
    assert (paired(before, after).gained, paired(before, after).lost) == (6, 7)
    assert (paired(before, after).finding, paired(after, before).finding) == ("better", "worse")


def test_a_gate_does_not_pass_while_an_answer_could_not_be_judged(server: Server, make_arm: MakeArm) -> None:
    server.write(range(1, 13), gate={"at_least": 0.5})
    arm = make_arm("sft", list(range(1, 13)))
    errored = arm.records[0].model_copy(update={"verdict": Verdict.errored("out"), "exact": False})
    arm = arm.model_copy(update={"records": (errored, *arm.records[1:])})
    (gate,) = check_gates(server.assembled(arm), "sft")
    assert not gate.passed
    assert "1 answer could not be judged" in gate.sentence
    (gate,) = check_gates(server.assembled(arm), "grpo")
    assert not gate.passed
    assert "nothing could be judged" in gate.sentence


def test_a_wrong_record_of_a_stored_evaluation_is_named_with_its_place(server: Server, make_arm: MakeArm) -> None:
    stored = server.assembled(make_arm("base", [1]))
    assert Evaluation.parse(stored.text(), path="e") == stored
    document = json.loads(stored.text())
    for wrong in ("perhaps", True):
        document["arms"][0]["records"][2]["exact"] = wrong
        with pytest.raises(DocumentError, match=r"arms\[0\]\.records\[2\]|arms.0.records.2"):
            Evaluation.parse(json.dumps(document), path="e")
