"""A tree of rows holds each row whole, and what rows share once."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from skillpm.train.hf.prefix_tree import positions, prefix_tree, visible

ROWS = st.lists(st.tuples(st.lists(st.integers(1, 3), max_size=6), st.lists(st.integers(1, 3), min_size=1)), min_size=1)


@given(ROWS)
def test_each_row_is_what_stands_before_it_and_its_own(rows: list[tuple[list[int], list[int]]]) -> None:
    """At the positions that it has alone; its last token sees exactly itself and what is before it."""
    whole = [prompt + own for prompt, own in rows]
    pieces = prefix_tree(whole, [len(prompt) for prompt, _ in rows])
    flat = [token for piece in pieces for token in piece.tokens]
    seen, at, ends = visible(pieces), positions(pieces), len(pieces) - len(rows)
    last = -1 + sum(len(piece.tokens) for piece in pieces[:ends])

    for row, piece in zip(whole, pieces[ends:], strict=True):
        assert [token for number in piece.before for token in pieces[number].tokens] + list(piece.tokens) == row
        last += len(piece.tokens)
        columns = seen[last].nonzero()[:, 0].tolist()
        assert [flat[column] for column in columns] == row
        assert at[columns].tolist() == list(range(len(row)))


@given(ROWS)
def test_no_beginning_stands_twice(rows: list[tuple[list[int], list[int]]]) -> None:
    """Of two pieces behind the same pieces, the first tokens differ, but for what is each row's own."""
    pieces = prefix_tree([prompt + own for prompt, own in rows], [len(prompt) for prompt, _ in rows])
    shared = sorted((piece.before, piece.tokens[0]) for piece in pieces[: len(pieces) - len(rows)])

    assert all(one != other for one, other in pairwise(shared))
