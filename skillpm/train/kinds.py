"""The kinds of stages that a recipe may have: the built-in ones, and those that plugins bring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from skillpm import __version__
from skillpm.model.name import near_names
from skillpm.model.ports import Trainer
from skillpm.train.grpo import GRPO
from skillpm.train.sft import SFT

__all__ = ["BUILT_IN", "Kinds"]


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
        near = near_names(kind, self.trainers)
        meant = f"did you mean `{near[0]}`? " if near else ""
        failed = "".join(f"; {reason}" for reason in self.failed)
        known = ", ".join(f"{name} ({trainer.origin})" for name, trainer in sorted(self.trainers.items()))
        return f"{meant}known here: {known}; other kinds come with plugins, see `skillpm plugins`{failed}"


BUILT_IN = Kinds({kind.name: replace(kind, origin=f"skillpm-core {__version__}") for kind in (SFT, GRPO)})
