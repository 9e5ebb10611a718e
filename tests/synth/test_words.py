"""What a word is, and where a part of a text stands alone."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from skillpm.synth.words import UNSPACED, stands_in

LETTER = rf"[^\W{UNSPACED[1:-1]}]"
TEXTS = st.text("ab_1 -/语カÀ\n", max_size=8)


@given(TEXTS, TEXTS)
@example("", "")
@example("a", "ba a")
@example("语", "a语b")
def test_a_part_stands_where_no_word_goes_on_behind_its_ends(part: str, text: str) -> None:
    ends = rf"(?:(?={UNSPACED})|(?<!{LETTER})){re.escape(part)}(?:(?<={UNSPACED})|(?!{LETTER}))"

    assert stands_in(part, text) is (re.search(ends, text) is not None)
