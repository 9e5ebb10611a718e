"""JSON with one key a line is what ``json.dumps`` writes, to the letter."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from skillpm.formats.json_text import json_text

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=values, indent=st.integers(1, 4), ensure_ascii=st.booleans())
def test_is_what_json_dumps_writes(value: Any, indent: int, ensure_ascii: bool) -> None:
    expected = json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=ensure_ascii)
    assert json_text(value, indent, ensure_ascii=ensure_ascii) == expected
