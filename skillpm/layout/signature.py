"""What a file is, by its first bytes: what its name says is its author's claim.

Source: the formats' own specifications; the numbers are those of the ``file`` command's public database.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from enum import Enum, auto


class Content(Enum):
    """The content of a file that is not text."""

    NATIVE = auto()
    BYTECODE = auto()
    PICKLE = auto()
    ARCHIVE = auto()
    MEDIA = auto()


@dataclass(frozen=True, slots=True)
class Signature:
    """A recognised format: what it holds, and its name in words."""

    content: Content
    name: str


_FORMATS: dict[Content, dict[bytes, str]] = {
    Content.NATIVE: {
        b"\x7fELF": "ELF", b"\xfe\xed\xfa\xce": "Mach-O", b"\xfe\xed\xfa\xcf": "Mach-O", b"\xce\xfa\xed\xfe": "Mach-O",
        b"\xcf\xfa\xed\xfe": "Mach-O", b"\xca\xfe\xba\xbe": "Mach-O universal or Java class", b"\0asm": "WebAssembly",
        b"dex\n0": "Dalvik", b"BC\xc0\xde": "LLVM bitcode",
    },
    Content.ARCHIVE: {
        b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x1f\x8b": "gzip", b"\x1f\x9d": "compress", b"\xfd7zXZ\0": "xz",
        b"7z\xbc\xaf'\x1c": "7-Zip", b"Rar!\x1a\x07": "RAR", b"\x28\xb5\x2f\xfd": "Zstandard",
        b"\x04\x22\x4d\x18": "LZ4", b"LZIP": "lzip", b"MSCF\0": "cabinet", b"xar!\0": "xar",
        b"!<arch>\n": "ar", b"\xed\xab\xee\xdb": "RPM",
    },
    Content.MEDIA: {
        b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"RIFF": "RIFF", b"%PDF-": "PDF",
        b"wOFF": "WOFF", b"wOF2": "WOFF2", b"\0\1\0\0\0": "TrueType", b"OTTO": "OpenType", b"\0\0\1\0": "icon",
        b"BM": "bitmap", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC",
        b"\x1aE\xdf\xa3": "Matroska", b"SQLite format 3\0": "SQLite", b"PAR1": "Parquet", b"\x93NUMPY": "NumPy",
    },
}  # fmt: skip
_MAGIC = [(magic, Signature(content, name)) for content, names in _FORMATS.items() for magic, name in names.items()]
# what follows the mark, where few letters are one: anything may begin with BM
_FURTHER = {
    b"BM": re.compile(rb"BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}", re.DOTALL),  # size of the second header
    b"GIF8": re.compile(rb"GIF8[79]a"),
    b"RIFF": re.compile(rb"RIFF.{4}(?:WAVE|WEBP|AVI |ACON|RMID|sfbk)", re.DOTALL),
    b"ID3": re.compile(rb"ID3[\x02-\x04][^\xff].[\0-\x7f]{4}", re.DOTALL),  # version, flags, size in 7 bits each
    b"OggS": re.compile(rb"OggS\0\x02"),  # a first page
    b"\0\0\1\0": re.compile(rb"\0\0\x01\0(?!\0\0).{5}\0", re.DOTALL),  # count of images, reserved byte of the first
    b"PAR1": re.compile(rb"PAR1.*PAR1\Z", re.DOTALL),
}
_BY_FIRST_BYTE = {first: [pair for pair in _MAGIC if pair[0][:1] == first] for first in {m[:1] for m, _ in _MAGIC}}
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_PICKLE_ENDINGS = (".pkl", ".pickle", ".joblib")
_NATIVE_ENDINGS = (".so", ".dll", ".dylib", ".exe", ".pyd", ".node")
_BYTECODE_NUMBERS = range(2_900, 4_000)  # of CPython 3, little-endian, before a carriage return and a line feed

_OFFICE_MARKS = frozenset({"[Content_Types].xml", "META-INF/manifest.xml", "mimetype"})
_OFFICE_ENDINGS = (
    ".xml", ".rels", ".vml", ".rdf", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".emf", ".wmf", ".svg", ".tif", ".tiff",
    ".fntdata", ".odttf", ".wdp",
)  # fmt: skip
_MAX_MEMBERS = 10_000


def signature(data: bytes, path: str) -> Signature | None:
    """Return what a file is, or None if it is text or nothing known.

    Of most formats only the first bytes are looked at. The path is for the few formats without a mark of their own.
    """
    # Endings come first where a loader goes by them, as Python does for .pyc and .so: whether it would take these bytes
    # is not tried out. A pickle needs both its ends, because two bytes alone begin many things; the oldest pickles are
    # plain ASCII and can be told by their ending only.
    lower = path.casefold()
    if lower.endswith(_NATIVE_ENDINGS):
        return Signature(Content.NATIVE, f"`{path[path.rfind('.') :]}` library or program")
    if lower.endswith((".pyc", ".pyo")) or _is_bytecode(data):
        return Signature(Content.BYTECODE, "compiled Python")
    if lower.endswith(_PICKLE_ENDINGS) or (_PICKLE.match(data) and data.endswith(b".")):
        return Signature(Content.PICKLE, "Python pickle")
    near = _BY_FIRST_BYTE.get(data[:1], ())
    known_format = next((known for magic, known in near if data.startswith(magic) and _follows(magic, data)), None)
    return known_format or _special(data)


def _follows(magic: bytes, data: bytes) -> bool:
    return magic not in _FURTHER or _FURTHER[magic].match(data) is not None


def _special(data: bytes) -> Signature | None:
    """Recognise what its first bytes alone do not tell from text."""
    # a tar begins with the name of a file, two letters may begin a text, and MPEG-4 begins with a length
    if data[257:262] == b"ustar":
        return Signature(Content.ARCHIVE, "tar")
    if data.startswith(b"MZ") and b"\0" in data[:64]:
        return Signature(Content.NATIVE, "Windows program")
    if _BZIP2.match(data):
        return Signature(Content.ARCHIVE, "bzip2")
    return Signature(Content.MEDIA, "MPEG-4") if data[4:8] == b"ftyp" else None


def _is_bytecode(data: bytes) -> bool:
    return data[2:4] == b"\r\n" and int.from_bytes(data[:2], "little") in _BYTECODE_NUMBERS


def office_parts(data: bytes) -> tuple[int, list[str]] | None:
    """Return how many members a zipped office document has, and those that are not parts of a plain document.

    None if it is not an office document, or not a zip that can be read. Only the directory of the zip is looked at.
    """
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [member.filename for member in archive.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, OverflowError, IndexError, struct.error):
        return None
    # The mark alone proves nothing, anybody can put a [Content_Types].xml into a zip. It only decides which of two
    # rules speaks: the members that no plain document has are reported all the same.
    if _OFFICE_MARKS.isdisjoint(names) or len(names) > _MAX_MEMBERS:
        return None
    return len(names), [name for name in names if not _is_part(name)]


def _is_part(name: str) -> bool:
    lower = name.lower()
    return name in _OFFICE_MARKS or lower.endswith(("/", *_OFFICE_ENDINGS)) or "/printersettings" in lower


def encrypted_archive(data: bytes) -> bool:
    """Does an archive have members that only a password opens? Known of zip, and of 7-Zip by its coder AES."""
    import zipfile

    if data.startswith(b"7z\xbc\xaf'\x1c"):
        return b"\x06\xf1\x07\x01" in data[-65_536:]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(member.flag_bits & 1 for member in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, OverflowError, IndexError, struct.error):
        return False
