"""Decoding that can only write what a JSON Schema accepts.

A matcher follows each answer and says after every token which ones may come next; all others get no probability. The
engine is llguidance: its masks are computed from the tokens of the vocabulary, so a string is reached by any of its
tokenisations.

Source: M. Moskal et al., llguidance, https://github.com/guidance-ai/llguidance (derivatives of regular expressions and
an Earley parser over a trie of the vocabulary).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from skillpm.errors import TrainingError

JSON_FORM: Any = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": True,
}
"""As contracts write answers. A keyword that the engine does not know is left to the verifier."""
_LIMIT_BYTES = 1 << 20  # of a schema


class Grammar:
    """What an answer may be.

    Args:
        tokenizer: a fast tokenizer of transformers.
        stop: the tokens that end an answer.
        schema: the JSON Schema of an answer.

    Raises:
        TrainingError: llguidance is not installed, or it takes neither the tokenizer nor the schema.
    """

    def __init__(self, tokenizer: Any, stop: frozenset[int], schema: Mapping[str, Any]) -> None:
        try:
            import llguidance
            from llguidance.hf import from_tokenizer
        except ImportError:
            hint = "pip install 'skillpm-core[constrain]'"
            raise TrainingError("answers cannot be held to the contract: llguidance is missing", hint=hint) from None
        text = json.dumps(schema)
        try:
            if len(text) > _LIMIT_BYTES:
                raise ValueError(f"its schema has {len(text):,} bytes")
            self._tokens = from_tokenizer(tokenizer, len(tokenizer), sorted(stop))
            grammar = llguidance.LLMatcher.grammar_from_json_schema(text, overrides=JSON_FORM)
            self._first = llguidance.LLMatcher(self._tokens, grammar, log_level=0)
            if self._first.is_error():
                raise ValueError(self._first.get_error())
        except (ValueError, TypeError) as error:
            reason = str(error).splitlines()[0][:300]
            raise TrainingError(f"answers cannot be held to the contract: {reason}", hint="ask without it") from None

    def begin(self) -> Any:
        """Return the matcher of a new answer."""
        return self._first.deep_copy()

    def allowed(self, matchers: Sequence[Any | None], logits: torch.Tensor) -> torch.Tensor:
        """Return logits in which a token that an answer may not have next is -inf.

        Args:
            matchers: of each row; None where its answer has ended.
            logits: (rows, vocabulary).
        """
        mask = np.ones(logits.shape, dtype=bool)
        for row, matcher in enumerate(matchers):
            if matcher is not None:
                bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
                mask[row, :] = False  # a model may have more outputs than its tokenizer has tokens
                size = min(len(bits), mask.shape[1])
                mask[row, :size] = bits[:size]
        return logits.masked_fill(~torch.from_numpy(mask).to(logits.device), float("-inf"))
