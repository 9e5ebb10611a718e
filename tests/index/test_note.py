"""A checkpoint is believed if its log signed it, whoever else signed it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.index.note import Checkpoint, open_checkpoint
from skillpm.model.key import PrivateKey
from tests.index.witness import cosignature

LOG, OTHER, WITNESS = (PrivateKey(letter * 32) for letter in (b"l", b"o", b"w"))
HEAD = Checkpoint("example.org/log", 12, b"r" * 32)
NOTE = HEAD.signed([OTHER, LOG])


def cosigned(note: str, name: str, key: PrivateKey, time: int = 1_700_000_000) -> str:
    return note + cosignature(note, name, key, time)


def test_a_checkpoint_is_read_if_one_of_the_keys_signed_it() -> None:
    assert open_checkpoint(NOTE, HEAD.origin, [LOG.public]) == HEAD
    assert open_checkpoint(cosigned(NOTE, "witness.example", WITNESS), HEAD.origin, [OTHER.public, LOG.public]) == HEAD
    for origin, keys in ((HEAD.origin, [WITNESS.public]), (HEAD.origin, []), ("example.org/other", [LOG.public])):
        with pytest.raises(ValueError, match=r"did not sign|not a checkpoint of the log"):
            open_checkpoint(NOTE, origin, keys)


@given(st.integers(0, len(NOTE) - 1), st.characters(codec="utf-8"))
def test_a_changed_note_says_the_same_or_is_refused(place: int, character: str) -> None:
    note = NOTE[:place] + character + NOTE[place + 1 :]
    try:
        assert open_checkpoint(note, HEAD.origin, [LOG.public]) == HEAD
    except ValueError:
        assert note != NOTE


@pytest.mark.parametrize(
    "note", ["", "\n\n", "a\n1\nb\n\n— a AAAA\n", NOTE * 1000, replace(HEAD, root=b"r").signed([LOG])]
)
def test_what_is_not_a_checkpoint_is_refused(note: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        open_checkpoint(note, HEAD.origin, [LOG.public])
