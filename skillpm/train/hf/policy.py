"""A transformers model, with or without an adapter, as a Policy."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from skillpm.formats.document import Json
from skillpm.model.ports import Completion
from skillpm.model.task import Message
from skillpm.train.hf.decode import Decoded, Sampling, decode
from skillpm.train.hf.grammar import Grammar
from skillpm.train.hf.memory import lacks_memory, no_memory
from skillpm.train.hf.model import (
    check_vocabulary,
    is_whole_model,
    load_conversation,
    load_model,
    machine_settings,
    window,
    with_adapter,
)
from skillpm.train.hf.packed import pack
from skillpm.train.model_files import model_digest
from skillpm.train.template_arguments import template_arguments

_RENDERED = 1024  # prompts that are in memory at once; batches are made of those that begin alike among them


class TransformersPolicy:
    """Completions of a local model, greedy unless ``sampled`` says otherwise.

    Args:
        model: a folder or a hub id.
        adapter: a LoRA adapter, merged into the weights on loading; or a model that was trained whole, which stands
            in the place of the model.
        dtype: of the weights; ``auto`` as in ``choose_dtype``.
        batch_size: rows decoded side by side.
        special_tokens: the model answers in a form of its own: it is asked with its template's generation prompt, and
            special tokens of completions are kept, except those that end them.
        template: arguments of the chat template; where None, the adapter's, else such as end thinking.

    Attributes:
        settings: data type, device, threads, and the digests of the model and of the adapter.

    Raises:
        UsageError: model or adapter cannot be loaded.
        DocumentError: what stands beside the adapter cannot be read.
    """

    def __init__(
        self,
        model: Path | str,
        adapter: Path | None = None,
        *,
        dtype: str = "auto",
        batch_size: int = 48,
        special_tokens: bool = False,
        template: Mapping[str, Json] | None = None,
    ) -> None:
        self.name = str(model)
        self.settings: dict[str, Json] = dict(machine_settings(dtype))
        self._conversation = load_conversation(model, template_arguments(adapter) if template is None else template)
        self.settings["template_arguments"] = dict(self._conversation.arguments)
        if adapter is not None and is_whole_model(adapter):
            loaded = load_model(adapter, dtype)
        else:
            loaded = load_model(model, dtype)
            if adapter is not None:
                loaded = with_adapter(loaded, adapter, str(model)).merge_and_unload()
        revision = getattr(loaded.config, "_commit_hash", None)
        self.settings["model_digest"] = model_digest(model) or revision
        if adapter is not None:
            self.settings["adapter_digest"] = model_digest(adapter)
        self._conversation = self._conversation.stopping_with(loaded)
        self._model = loaded.eval()
        pack(self._model)
        self._batch_size = batch_size
        self._skip_special_tokens = not special_tokens
        self._grammar: Grammar | None = None
        self._temperature, self._seed = 0.0, 0
        self._unwanted: Callable[[int], bool] = lambda prompt: False
        self._ended: Callable[[], bool] = lambda: False

    def sampled(self, temperature: float, seed: int) -> Self:
        """Return this model, whose answers are drawn; an answer does not depend on those that are drawn beside it."""
        drawn = copy.copy(self)
        drawn._temperature, drawn._seed = temperature, seed
        return drawn

    def constrained(self, schema: Mapping[str, Any]) -> Self:
        """Return this model, whose answers can only be what a JSON Schema accepts.

        Raises:
            TrainingError: llguidance is not installed, or it takes neither the tokenizer nor the schema.
        """
        held = copy.copy(self)
        held._grammar = Grammar(self._conversation.tokenizer, self._conversation.stops, schema)
        return held

    def stoppable(self, unwanted: Callable[[int], bool]) -> Self:
        """Return this model, which cuts an answer where it is once it is unwanted."""
        stopped = copy.copy(self)
        stopped._unwanted = unwanted
        return stopped

    def bounded(self, ended: Callable[[], bool], deadline: float | None) -> Self:
        """Return this model, which leaves out what it has not answered once it is ended: nobody pays for that."""
        held = copy.copy(self)
        held._ended = ended if deadline is None else lambda: ended() or time.monotonic() >= deadline
        return held

    def _decoded(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> Iterator[Decoded]:
        """Yield answers as they end. Raises TrainingError where the memory is not enough."""
        try:
            yield from decode(self._model, prompts, sampling)
        except (RuntimeError, MemoryError) as error:
            if not lacks_memory(error):
                raise
            rows = f"{min(self._batch_size, len(prompts))} answers side by side"
            hint = "free some memory, or choose a smaller `--batch-size`"
            raise no_memory(f"{self.name} cannot write {rows}", error, hint) from None

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        """Yield ``(index of the prompt, completion)`` as they finish.

        A prompt that leaves no room for the answer in the model's window is not asked: it is ``too_long``. Prompts that
        a bound leaves out have no answer.
        """
        for start in range(0, len(prompts), _RENDERED):
            if self._ended():
                return
            yield from self._answered(range(start, min(start + _RENDERED, len(prompts))), prompts, max_new_tokens)

    def _answered(
        self, places: range, prompts: Sequence[Sequence[Message]], max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        render = self._conversation.prompt if self._skip_special_tokens else self._conversation.announced
        most = window(self._model) - max_new_tokens
        tokens = {}
        for index in places:
            prompt = render(prompts[index])
            if len(prompt) > most:
                yield index, Completion("", len(prompt), 0, "too_long")
            else:
                tokens[index] = prompt
        if not tokens:
            return
        check_vocabulary(self._model, tokens.values())
        fitting = list(tokens)
        tokenizer = self._conversation.tokenizer
        sampling = Sampling(
            max_new_tokens,
            self._conversation.stops,
            tokenizer.pad_token_id,
            temperature=self._temperature,
            batch_size=self._batch_size,
            seed=self._seed,
            confidence=True,
            grammar=self._grammar,
            unwanted=lambda prompt: self._ended() or self._unwanted(fitting[prompt]),
        )
        for answer in self._decoded(list(tokens.values()), sampling):
            if not answer.stopped and len(answer.tokens) < max_new_tokens and self._ended():
                continue
            if self._skip_special_tokens:
                text = self._conversation.text(answer.tokens)
            else:
                text = tokenizer.decode(answer.tokens[:-1] if answer.stopped else answer.tokens)
            reason = "stop" if answer.stopped else "length"
            index = fitting[answer.prompt]
            used = (len(tokens[index]), len(answer.tokens))
            yield index, Completion(text, *used, reason, confidence=answer.confidence)
