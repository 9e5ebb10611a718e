"""Checks of one judgement: what shows that a claim does not hold."""

from __future__ import annotations

from collections.abc import Callable

from skillpm.contract.answer import read_answer
from skillpm.contract.contract import Contract, gold_text
from skillpm.model.verdict import Judgement
from skillpm.selftest.probes import Probe
from skillpm.selftest.texts import loosely_same

Check = Callable[[Probe, Judgement], str | None]
"""Returns what is wrong with a probe's judgement, or None."""


def still_wrong(contract: Contract | None, probe: Probe) -> bool:
    """Must this shortened answer still not be paid?"""
    if probe.want in ("maximum", "verdict"):
        return True
    gold = gold_text(contract, probe.place.expected)
    if contract is None:
        return not loosely_same(probe.text, gold)
    if probe.text.strip() == gold.strip():
        return False
    if probe.code == "SK721":
        return contract.judge(probe.place.expected, probe.text).status == "failed"
    answer = read_answer(probe.text)
    return not answer.only_json or bool(contract.problems(answer.value))


def check_verdict(probe: Probe, judgement: Judgement) -> str | None:
    """Return what is wrong if an answer did not get the claimed verdict."""
    verdict = judgement.verdict
    if verdict.status == "errored" or probe.want == "verdict":
        return judgement_text(judgement) if verdict.status == "errored" and probe.code == "SK701" else None
    if probe.want == "maximum":
        return None if verdict.status == "passed" and verdict.score == 1.0 else judgement_text(judgement)
    if probe.want == "refusal":
        return None if verdict.status != "passed" and judgement.argv is None else judgement_text(judgement)
    if verdict.status == "abstained" and probe.want == "floor" and probe.code != "SK701":
        return f"{judgement_text(judgement)}, but right answers to this task are judged"
    paid = verdict.score if verdict.score is not None else 0.0
    if verdict.status != "passed" and paid <= probe.at_most:
        return None
    return f"{judgement_text(judgement)}, but at most {probe.at_most:g} was promised"


def _check_range(probe: Probe, judgement: Judgement) -> str | None:
    return next((failure.reason for failure in judgement.failures if failure.kind == "range"), None)


def _check_rewards(probe: Probe, judgement: Judgement) -> str | None:
    if probe.want == "unpaid":
        return None
    return next((failure.reason for failure in judgement.failures if failure.kind != "range"), None)


def _check_errors(probe: Probe, judgement: Judgement) -> str | None:
    is_claimed = probe.code != "SK701" and probe.want != "unpaid"
    return judgement_text(judgement) if judgement.verdict.status == "errored" and is_claimed else None


CHECKS: dict[str, Check] = {"": check_verdict, "SK741": _check_range, "SK742": _check_rewards, "SK751": _check_errors}


def judgement_text(judgement: Judgement) -> str:
    """Return a judgement in words."""
    verdict = judgement.verdict
    argv = "" if judgement.argv is None else f", argv {[list(command) for command in judgement.argv]}"
    reasons = f": {'; '.join(verdict.reasons)}" if verdict.reasons else ""
    return f"{verdict.status} with score {verdict.score}{argv}{reasons}"[:500]
