"""JSON that is written while it is made."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from skillpm.formats.as_json import StreamedArray, as_json, written


@pytest.mark.parametrize("count", [0, 1, 2, 20_000])
def test_a_streamed_array_has_the_text_of_a_list_and_is_never_whole(count: int) -> None:
    read = 0

    def items() -> Iterator[dict[str, object]]:
        nonlocal read
        for number in range(count):
            read += 1
            yield {"n": number, "t": ("ü", None)}

    plain = {"a": 1, "items": [{"n": number, "t": ["ü", None]} for number in range(count)], "b": []}
    pieces = written(as_json({"a": 1, "items": StreamedArray(items()), "b": ()}))
    first = next(pieces)
    assert read <= 5_000
    assert first + "".join(pieces) == json.dumps(plain, indent=2)
