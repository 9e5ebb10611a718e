"""A transformers model, with or without an adapter, as a Policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from peft import PeftModel

from skillpm.errors import UsageError
from skillpm.formats.document import Json
from skillpm.model.ports import Completion
from skillpm.model.task import Message
from skillpm.train.hf.decode import Sampling, decode
from skillpm.train.hf.model import load_model, load_tokenizer, machine_settings, stop_tokens, weights_digest


def prompt_tokens(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Return the tokens of a conversation, up to where the assistant begins."""
    rendered = [{"role": message.role, "content": message.content} for message in messages]
    return list(tokenizer.apply_chat_template(rendered, add_generation_prompt=True, tokenize=True, return_dict=False))


class TransformersPolicy:
    """Greedy completions of a local model.

    Args:
        model: a folder or a hub id.
        adapter: a LoRA adapter, merged into the weights on loading.
        dtype: of the weights; ``auto`` as in ``choose_dtype``.
        batch_size: rows decoded side by side.
        special_tokens: keep the special tokens of completions, except those that end them.

    Attributes:
        settings: data type, device, threads, and the digests of the model and of the adapter.

    Raises:
        UsageError: model or adapter cannot be loaded.
    """

    def __init__(
        self,
        model: Path | str,
        adapter: Path | None = None,
        *,
        dtype: str = "auto",
        batch_size: int = 48,
        special_tokens: bool = False,
    ) -> None:
        self.name = str(model)
        self.settings: dict[str, Json] = dict(machine_settings(dtype))
        self._tokenizer = load_tokenizer(model)
        loaded = load_model(model, dtype)
        if adapter is not None:
            try:
                loaded = PeftModel.from_pretrained(loaded, str(adapter)).merge_and_unload()
            except (OSError, ValueError, RuntimeError) as error:
                reason = str(error).splitlines()[0][:300]
                raise UsageError(
                    f"the adapter {adapter} does not fit {model}: {reason}", hint="use the model that it was trained on"
                ) from None
        revision = getattr(loaded.config, "_commit_hash", None)
        self.settings["model_digest"] = weights_digest(model) or revision
        if adapter is not None:
            self.settings["adapter_digest"] = weights_digest(adapter)
        self._model = loaded.eval()
        self._batch_size = batch_size
        self._skip_special_tokens = not special_tokens

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        """Yield ``(index of the prompt, completion)`` as they finish.

        A prompt that leaves no room for the answer in the model's window is not asked: it is ``too_long``.
        """
        tokens = [prompt_tokens(self._tokenizer, prompt) for prompt in prompts]
        window = getattr(self._model.config, "max_position_embeddings", None)
        fitting = []
        for index, prompt in enumerate(tokens):
            if window is not None and len(prompt) + max_new_tokens > window:
                yield index, Completion("", len(prompt), 0, "too_long")
            else:
                fitting.append(index)
        if not fitting:
            return
        stop = stop_tokens(self._model, self._tokenizer)
        sampling = Sampling(max_new_tokens, stop, self._tokenizer.pad_token_id, batch_size=self._batch_size)
        for answer in decode(self._model, [tokens[index] for index in fitting], sampling):
            written = answer.tokens if self._skip_special_tokens or not answer.stopped else answer.tokens[:-1]
            text = self._tokenizer.decode(written, skip_special_tokens=self._skip_special_tokens)
            reason = "stop" if answer.stopped else "length"
            index = fitting[answer.prompt]
            yield index, Completion(text, len(tokens[index]), len(answer.tokens), reason)
