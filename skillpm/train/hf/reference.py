"""A model as it was when a stage began, for comparison while its weights go on being trained."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from trl.trainer.utils import use_adapter

REFERENCE = "ref"  # the name of TRL's


class Reference:
    """The weights of now: an adapter beside the one that is trained, or a copy where all weights are.

    Args:
        model: that is going to be trained.

    Attributes:
        copy: of the whole model; None where the adapter alone is kept.
    """

    def __init__(self, model: Any) -> None:
        self._model, self.copy = model, None
        if not isinstance(model, PeftModel):
            self.copy = copy.deepcopy(model).requires_grad_(False)
            self.copy.__dict__.pop("forward", None)  # that a stage of TRL has put there runs the model itself
            return
        forget_reference(model)
        model.add_adapter(REFERENCE, model.peft_config["default"])
        weights = get_peft_model_state_dict(model, adapter_name="default", save_embedding_layers=False)
        set_peft_model_state_dict(model, weights, adapter_name=REFERENCE)

    @contextmanager
    def asked(self) -> Iterator[Any]:
        """Yield the model of then."""
        if self.copy is not None:
            yield self.copy
            return
        with use_adapter(self._model, REFERENCE):
            yield self._model


def forget_reference(model: Any) -> None:
    """Remove the adapter that remembers how a stage began, TRL's or ours: nobody else needs it."""
    if REFERENCE in getattr(model, "peft_config", {}):
        model.delete_adapter(REFERENCE)
