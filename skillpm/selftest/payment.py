"""Claims about what is paid: a trainer learns from rewards, so they are held to what verdicts are held to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from skillpm.contract.rewards import BUILTIN_FUNCTIONS
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import RewardRecord
from skillpm.selftest.probes import Probe
from skillpm.selftest.results import Results

_CASE = "SK701"  # has a limit of its own for the score, and says nothing of rewards


def check_payment(
    rewards: Sequence[RewardRecord], probes: Sequence[Probe], judgements: Sequence[Judgement], results: Results
) -> None:
    """Hold every reward that a skill declares to the claims; skillpm computes the built-in ones itself."""
    for reward in rewards:
        if reward.name not in BUILTIN_FUNCTIONS:
            _check_reward(reward, probes, judgements, results)


def _check_reward(
    reward: RewardRecord, probes: Sequence[Probe], judgements: Sequence[Judgement], results: Results
) -> None:
    """Report wrong answers that are paid, and a reward that is the same for all answers."""
    paid = [
        (probe, amount)
        for probe, judgement in zip(probes, judgements, strict=True)
        if (amount := judgement.rewards.get(reward.name)) is not None and probe.code != _CASE
    ]
    right = {probe.place.task.key: amount for probe, amount in paid if probe.code == "SK711"}
    wrong = [(probe, amount) for probe, amount in paid if probe.want in ("floor", "unpaid")]
    results.checked["SK743"] += len(wrong)
    results.checked["SK744"] += bool(wrong and right)
    problems = [(probe, _problem(reward, probe, amount, right.get(probe.place.task.key))) for probe, amount in wrong]
    items = [(probe, reason) for probe, reason in problems if reason is not None]
    groups = whole_groups([probe for probe, _ in wrong], [probe for probe, _ in items])
    items = [item for item in items if item[0].group in groups]
    if items:
        results.add("SK743", items)
    amounts = {amount for _, amount in paid}
    if right and len(amounts) == 1 and (wrong or reward.default):
        which = "right or wrong" if wrong else "and nothing for wrong ones, which are left out of training"
        reason = f"reward `{reward.name}` pays {amounts.pop():g} for every answer, {which}"
        results.add("SK744", [((wrong or paid)[0][0], reason)])


def _problem(reward: RewardRecord, probe: Probe, amount: float, right: float | None) -> str | None:
    """Return what is wrong with paying this for a wrong answer where the right one gets ``right``, or None."""
    name = f"reward `{reward.name}`"
    if amount > probe.at_most:
        return f"{name} pays {amount:g}, but at most {probe.at_most:g} was promised"
    # A penalty pays 0 for whatever it does not mind. That is no gain for anybody, so it may be equal for a wrong
    # answer; the reward that a recipe takes by itself must tell right from wrong.
    as_much = right is not None and amount >= right and (amount > 0 or amount > right or reward.default)
    return f"{name} pays {amount:g}, and {right:g} for the right answer" if as_much else None


def whole_groups(tried: Sequence[Probe], paid: Sequence[Probe]) -> set[str]:
    """Return the groups of which every probe is paid, and the empty name of those that are in no group."""
    counts, paid_counts = Counter(probe.group for probe in tried), Counter(probe.group for probe in paid)
    return {"", *(group for group, count in counts.items() if paid_counts[group] == count)}
