"""What a file is, by its first bytes."""

from __future__ import annotations

import struct

import pytest

from skillpm.layout.signature import Content, signature

BITMAP = b"BM" + struct.pack("<IIIIii", 70, 0, 54, 40, 2, 2) + bytes(44)
MEDIA = {
    "bitmap": BITMAP,
    "GIF": b"GIF89a" + bytes(20),
    "RIFF": b"RIFF\x24\0\0\0WAVEfmt " + bytes(20),
    "MP3": b"ID3\x04\0\0\0\0\x0f\x76" + bytes(20),
    "Ogg": b"OggS\0\2" + bytes(20),
    "icon": b"\0\0\1\0\2\0\x10\x10\0\0" + bytes(20),
    "Parquet": b"PAR1" + bytes(20) + b"PAR1",
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(20),
}


@pytest.mark.parametrize("name", MEDIA)
def test_media_are_known_by_their_header(name: str) -> None:
    known = signature(MEDIA[name], "file.dat")
    assert known is not None
    assert (known.content, known.name) == (Content.MEDIA, name)


@pytest.mark.parametrize("mark", [b"BM", b"GIF8", b"RIFF", b"ID3", b"OggS", b"\0\0\1\0\0\0", b"PAR1"])
@pytest.mark.parametrize("rest", [b"\0", b"\0" * 60, bytes(range(256)), b"\xff" * 60])
def test_a_mark_of_few_letters_is_no_format(mark: bytes, rest: bytes) -> None:
    assert signature(mark + rest, "file.dat") is None


@pytest.mark.parametrize(
    ("path", "content"), [("a.PYC", Content.BYTECODE), ("b.Dll", Content.NATIVE), ("c.PKL", Content.PICKLE)]
)
def test_an_ending_means_the_same_in_any_letter_case(path: str, content: Content) -> None:
    for name in (path, path.lower()):
        known = signature(b"\0\0", name)
        assert known is not None and known.content is content
