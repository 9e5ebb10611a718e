"""What a tokenizer reads as the end or the beginning of a message is found, whichever family of models has it."""

from __future__ import annotations

import pytest

from skillpm.synth.special_tokens import special_token, without_special_tokens

TOKENS = [
    "<|im_end|>",
    "<|eot_id|>",
    "<｜end▁of▁sentence｜>",
    "</s>",
    "<bos>",
    "<end_of_turn>",
    "<|turn>",
    "<channel|>",
]
TOKENS += ["[INST]", "[/SYSTEM_PROMPT]", "[TOOL_CALLS]", "<<SYS>>"]


@pytest.mark.parametrize("token", TOKENS)
def test_a_special_token_is_found_and_taken_apart(token: str) -> None:
    text = f"stop {token} now"
    assert special_token("stop", text) == token
    assert special_token(without_special_tokens(text)) is None


@pytest.mark.parametrize("text", ["a < b | c > d", "git log [ARGS]", "<name>|<host>", "if (a<|b) x", "[1] <p>"])
def test_other_marks_are_no_special_token(text: str) -> None:
    assert special_token(text) is None
