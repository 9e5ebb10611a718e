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
from skillpm.train.hf.model import reason_of

JSON_FORM: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "lenient": True}
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
        self._stop = stop
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
            problem = f"answers cannot be held to the contract: {reason_of(error)}"
            raise TrainingError(problem, hint="ask without it") from None

    def begin(self) -> Any:
        """Return the matcher of a new answer."""
        return self._first.deep_copy()

    def forced(self, matchers: Sequence[Any], most: int) -> list[list[int]]:
        """Take the next tokens of answers for as long as each has a single choice, the same number for each.

        Args:
            matchers: of answers that go on; they take the tokens.
            most: the largest number of tokens.
        """
        taken: list[list[int]] = []
        for matcher in matchers:
            run: list[int] = []
            while len(run) < most and (token := self._only(matcher)) is not None:
                matcher.consume_token(token)
                run.append(token)
            taken.append(run)
            most = len(run)  # none can take more than the one that takes the fewest
        for matcher, run in zip(matchers, taken, strict=True):
            if len(run) > most:
                matcher.rollback(len(run) - most)
                del run[most:]
        return taken

    def _only(self, matcher: Any) -> int | None:
        """Return the token that is the only choice and does not end the answer, or None."""
        bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        places = np.flatnonzero(bits)
        if len(places) != 1:
            return None
        byte = int(bits[places[0]])
        token = 8 * int(places[0]) + byte.bit_length() - 1
        return token if byte & (byte - 1) == 0 and token not in self._stop else None

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
