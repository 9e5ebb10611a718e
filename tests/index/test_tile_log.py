"""Every proof of a tile log holds, and a proof of anything else does not."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.index.tile_log import (
    InclusionProof,
    TileLog,
    entries_of,
    extend,
    included_root,
    is_consistent,
    leaf_hash,
    node_hash,
    tile_path,
)

SIZES = [1, 2, 3, 5, 8, 255, 256, 257, 300, 511, 512, 513, 700]


def grown(sizes: list[int]) -> tuple[dict[str, bytes], dict[int, bytes]]:
    """Return the tiles of a log that grew in these steps, and its root after each."""
    tiles: dict[str, bytes] = {}
    roots, log = {}, TileLog(0, tiles.get)
    for size in sizes:
        log = extend(log, [b"entry %d" % number for number in range(log.size, size)], tiles.__setitem__)
        roots[size] = log.root()
    return tiles, roots


def plain_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, to the letter."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(plain_root(leaves[:split]), plain_root(leaves[split:]))


TILES, ROOTS = grown(SIZES)
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(SIZES[-1])]


def test_a_log_has_the_root_of_its_entries_however_it_grew() -> None:
    assert {size: plain_root(LEAVES[:size]) for size in SIZES} == ROOTS
    assert grown([700])[1][700] == ROOTS[700]
    assert TileLog(0, TILES.get).root() == hashlib.sha256().digest()
    assert entries_of(700, 2, TILES.get)[-1] == b"entry 699"


@given(st.sampled_from(SIZES), st.data())
def test_an_entry_is_proved_to_be_in_each_log_that_has_it_and_no_other_is(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = TileLog(size, TILES.get).inclusion(index)
    assert included_root(LEAVES[index], index, size, proof) == ROOTS[size]
    other = data.draw(st.integers(0, size).filter(lambda number: number != index))
    for leaf, place in ((leaf_hash(b"other"), index), (LEAVES[index], other)):
        try:
            assert included_root(leaf, place, size, proof) != ROOTS[size]
        except ValueError:
            continue


@given(st.sampled_from(SIZES), st.sampled_from(SIZES))
def test_a_later_log_is_proved_to_contain_an_earlier_one(one: int, other: int) -> None:
    older, newer = sorted((one, other))
    proof = TileLog(newer, TILES.get).consistency(older) if older < newer else []
    assert is_consistent((older, ROOTS[older]), (newer, ROOTS[newer]), proof)
    assert not is_consistent((older, b"x" * 32), (newer, ROOTS[newer]), proof)
    assert not is_consistent((older, ROOTS[older]), (newer, b"x" * 32), proof)
    if older < newer:
        assert not is_consistent((newer, ROOTS[newer]), (older, ROOTS[older]), proof)
        assert not is_consistent((older, ROOTS[older]), (newer, ROOTS[newer]), [*proof, b"x" * 32])
        assert not is_consistent((older, ROOTS[older]), (newer, ROOTS[newer]), proof[:-1])


@settings(max_examples=60)
@given(st.sampled_from([257, 700]), st.sampled_from(sorted(TILES)), st.data())
def test_a_changed_tile_never_proves_what_is_not_so(size: int, path: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(TILES[path]) - 1))
    changed = bytearray(TILES[path])
    changed[place] ^= data.draw(st.integers(1, 255))
    log = TileLog(size, {**TILES, path: bytes(changed)}.get)
    index = data.draw(st.integers(0, size - 1))
    assert included_root(leaf_hash(b"other"), index, size, log.inclusion(index)) != ROOTS[size]
    assert not is_consistent((5, b"x" * 32), (size, ROOTS[size]), log.consistency(5))


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (1, 5, 7, "tile/1/005.p/7"),
        (0, 1234067, 256, "tile/0/x001/x234/067"),
        ("entries", 999, 1, "tile/entries/999.p/1"),
    ],
)
def test_a_tile_has_the_path_of_the_specification(level: int | str, number: int, width: int, path: str) -> None:
    assert tile_path(level, number, width) == path


def test_a_missing_tile_is_an_error() -> None:
    for tiles in ({}, {path: data[:-1] for path, data in TILES.items()}):
        with pytest.raises(ValueError, match="is missing or too short"):
            TileLog(300, tiles.get).root()
        with pytest.raises(ValueError, match="is missing or too short"):
            entries_of(300, 1, tiles.get)


PROOF = str(InclusionProof(5, (b"a" * 32, b"b" * 32), "log\n9\nroot\n\n— log sig\n"))


def test_a_proof_is_read_as_it_was_written_and_keeps_extra_data_out() -> None:
    read = InclusionProof.parse(PROOF)
    assert (str(read), read.index, len(read.hashes)) == (PROOF, 5, 2)
    lines = PROOF.split("\n")
    assert InclusionProof.parse("\n".join([lines[0], "extra AAAA", *lines[1:]])) == read


@given(st.integers(0, len(PROOF) - 1), st.characters(codec="utf-8"))
def test_a_changed_proof_is_another_proof_or_an_error(place: int, character: str) -> None:
    text = PROOF[:place] + character + PROOF[place + 1 :]
    with contextlib.suppress(ValueError):
        assert (InclusionProof.parse(text) == InclusionProof.parse(PROOF)) == (text == PROOF)
