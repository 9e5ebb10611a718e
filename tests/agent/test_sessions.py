"""Sessions of other agents are read whatever a version of them writes."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from skillpm.agent.sessions import session_form, turns

WORDS = ["user", "assistant", "tool_use", "tool_result", "text", "response_item", "event_msg", "session_meta",
         "message", "function_call", "web_search_call", "function_call_output", "thread_rolled_back", "c1", "{}",
         "serve"]  # fmt: skip
KEYS = ["type", "message", "payload", "content", "role", "sessionId", "toolUseResult", "timestamp", "id", "call_id",
        "name", "arguments", "input", "action", "output", "source", "num_turns", "text", "tool_use_id",
        "is_error"]  # fmt: skip
VALUES = st.recursive(
    st.sampled_from([*WORDS, 1, -3, True, None, 1.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=12,
)
SAID: dict[str, Any] = {"type": "user", "sessionId": "s"}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), max_size=4))
@example([{**SAID, "message": {"role": "user", "content": [{"type": ["image"], "text": "serve"}]}}])
def test_no_row_is_too_strange_to_read(rows: list[dict[str, Any]]) -> None:
    session_form(rows)
    for form in ("claude-code", "codex"):
        assert all(turn.request for turn in turns(rows, form))
