"""A JSON file that is walked in pieces says what it says as a whole."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.formats import json_walk
from skillpm.formats.json_walk import JsonWalk

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def walked(content: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Walk an object of arrays; return it, and the bytes that each item's span holds."""
    walk, root, spans = JsonWalk(io.BytesIO(content)), dict[str, Any](), []
    for key in walk.keys(root):
        root[key] = []
        for _ in walk.items():
            root[key].append(walk.value())
            start, length = walk.span
            spans.append(content[start : start + length])
    walk.end()
    return root, spans


@given(st.dictionaries(st.text(), st.lists(VALUES, max_size=4), max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_what_is_walked_in_pieces_of_any_size_is_what_was_written(
    root: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    content = json.dumps(root, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    whole = json.loads(content)
    with pytest.MonkeyPatch.context() as patch:
        for size in (1, 7, 1 << 18):
            patch.setattr(json_walk, "_CHUNK", size)
            found, spans = walked(content)
            assert found == whole
            assert [json.loads(span) for span in spans] == [item for items in whole.values() for item in items]


BROKEN = ["", "[]", "{", '{"a"}', '{"a": [1,]}', '{"a": [1 2]}', '{"a": [1]} x', '{"a": [], "a": []}', '{"a": [NaN]}',
          '{"a": [{"b": 1, "b": 2}]}', '{"a": [1e999]}', '{"a": ' + "[" * 100_000]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_not_of_this_form_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        walked(text.encode())
