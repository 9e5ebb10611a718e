"""The claim that length alone earns nothing: a wrong answer is not paid more for a longer value."""

from __future__ import annotations

from collections.abc import Sequence

from skillpm.model.verdict import Judgement
from skillpm.selftest.probes import FILLER, Probe
from skillpm.selftest.results import Results

_CODE = "SK729"
_MOST_GAIN = 0.005  # of a score or a reward: the share of equal letters moves a little with the length


def check_padding(probes: Sequence[Probe], judgements: Sequence[Judgement], results: Results) -> None:
    """Report the pairs of which the longer answer is paid more."""
    pairs = [(probe, judged) for probe, judged in zip(probes, judgements, strict=True) if probe.code == _CODE]
    items = []
    for (_, less), (probe, more) in zip(pairs[::2], pairs[1::2], strict=True):
        paid, short = _paid(more), _paid(less)
        gains = [name for name in paid if name in short and paid[name] > short[name] + _MOST_GAIN]
        items += [(probe, f"{name} {paid[name]:g}, and {short[name]:g} with `{FILLER}` there") for name in gains]
    if items:
        results.add(_CODE, items)


def _paid(judgement: Judgement) -> dict[str, float]:
    score = judgement.verdict.score
    rewards = {f"reward `{name}`": amount for name, amount in judgement.rewards.items() if amount is not None}
    return rewards if score is None else {"score": score, **rewards}
