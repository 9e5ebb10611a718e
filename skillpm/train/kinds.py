"""The kinds of stages that a recipe may have: the built-in ones, and those that plugins bring."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from skillpm import __version__
from skillpm.model.name import did_you_mean
from skillpm.model.training import StageInput, StageOutput, Trainer
from skillpm.train.distil import Distil, plan_distil
from skillpm.train.dpo import Dpo, plan_dpo
from skillpm.train.eval import Eval, plan_eval
from skillpm.train.grpo import Grpo, Rloo, plan_sampled
from skillpm.train.sft import Sft, plan_sft


@dataclass(frozen=True, slots=True)
class Kinds:
    """Kinds of stages.

    Attributes:
        trainers: by name.
        failed: plugins that could not be asked for theirs, and why.
    """

    trainers: Mapping[str, Trainer]
    failed: tuple[str, ...] = ()

    def hint(self, kind: str) -> str:
        """Return what to tell a person who asked for a kind that is not here."""
        near = did_you_mean(kind, self.trainers)
        failed = "".join(f"; {reason}" for reason in self.failed)
        known = ", ".join(f"{name} ({trainer.origin})" for name, trainer in sorted(self.trainers.items()))
        rest = f"known here: {known}; other kinds come with plugins, see `skillpm plugins`{failed}"
        return f"{near} {rest}".lstrip()


def _loader(module: str, function: str) -> Callable[[], Callable[[Any, StageInput], StageOutput]]:
    """Return what imports a stage's runner by name when it runs: everything else in ``train`` stays free of torch."""

    def load() -> Callable[[Any, StageInput], StageOutput]:
        run: Callable[[Any, StageInput], StageOutput] = getattr(importlib.import_module(module), function)
        return run

    return load


SFT = Trainer("sft", Sft, plan_sft, _loader("skillpm.train.hf.sft", "run_sft"))
GRPO = Trainer("grpo", Grpo, plan_sampled, _loader("skillpm.train.hf.grpo", "run_grpo"))
RLOO = Trainer("rloo", Rloo, plan_sampled, _loader("skillpm.train.hf.grpo", "run_rloo"))
DPO = Trainer("dpo", Dpo, plan_dpo, _loader("skillpm.train.hf.dpo", "run_dpo"))
DISTIL = Trainer("distil", Distil, plan_distil, _loader("skillpm.train.hf.distil", "run_distil"))
EVAL = Trainer("eval", Eval, plan_eval, _loader("skillpm.train.hf.eval", "run_eval"), trains=False)

SEVERAL = frozenset({"sft", "dpo", "grpo", "rloo", "eval"})
"""The kinds whose work several processes share."""

_KINDS = (SFT, GRPO, RLOO, DPO, DISTIL, EVAL)
BUILT_IN = Kinds({kind.name: replace(kind, origin=f"skillpm-core {__version__}") for kind in _KINDS})
