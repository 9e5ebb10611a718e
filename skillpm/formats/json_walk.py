"""A JSON file walked value by value, so that one with a million of them need not be in memory as a whole."""

from __future__ import annotations

import codecs
import json
from collections.abc import Container, Iterator
from typing import IO, Any

from skillpm.formats.strict import STRICT_DECODER, syntax_words

_CHUNK = 1 << 18  # bytes that are read at once
_SPACE = " \t\r\n"
_AFTER = {*_SPACE, *",:]}"}  # a value


class JsonWalk:
    """A reader of a JSON file, as strict as ``strict_json``. A caller knows where objects and arrays are to stand.

    Args:
        file: of bytes, read from its beginning.

    Attributes:
        span: the first byte of the last value in the file, and how many bytes it takes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.span = (0, 0)
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._ended = False
        self._text = ""  # a window of the file
        self._at = 0  # in the window
        self._passed = 0  # bytes of the file before ``_at``

    def keys(self, seen: Container[str]) -> Iterator[str]:
        """Yield the keys of the object that stands here. The caller reads the value of each before the next one.

        Raises:
            ValueError: no object stands here, or a key is among those that were seen.
        """
        for _ in self._members("{", "}"):
            key = self.value()
            if not isinstance(key, str) or key in seen:
                raise ValueError("not a new key")
            self._take(":")
            yield key

    def items(self) -> Iterator[None]:
        """Yield once for each item of the array that stands here. The caller reads the item before the next one.

        Raises:
            ValueError: no array stands here.
        """
        return self._members("[", "]")

    def value(self) -> Any:
        """Return the value that stands here. Raises ValueError."""
        self._peek()
        while True:
            try:
                value, end = STRICT_DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise ValueError("nested too deeply") from None
            except json.JSONDecodeError as error:
                if not self._more():
                    raise ValueError(f"{syntax_words(error.msg)} behind byte {self._passed}") from None
                continue
            except ValueError:
                if not self._more():
                    raise
                continue
            if self._text[end : end + 1] in _AFTER or not self._more():  # a number may go on behind the window
                start = self._passed
                self._move(end)
                self.span = (start, self._passed - start)
                return value

    def end(self) -> None:
        """Raise ValueError where anything but space stands here."""
        if self._peek():
            raise ValueError("extra data")

    def _members(self, opening: str, closing: str) -> Iterator[None]:
        self._take(opening)
        if self._peek() == closing:
            self._take(closing)
            return
        while True:
            yield
            if self._peek() == closing:
                self._take(closing)
                return
            self._take(",")

    def _take(self, character: str) -> None:
        if self._peek() != character:
            raise ValueError(f"no `{character}`")
        self._move(self._at + 1)

    def _peek(self) -> str:
        """Skip space, and return the character that follows; none at the end."""
        while True:
            at = self._at
            while at < len(self._text) and self._text[at] in _SPACE:
                at += 1
            self._move(at)
            if at < len(self._text) or not self._more():
                return self._text[at : at + 1]

    def _move(self, to: int) -> None:
        self._passed += len(self._text[self._at : to].encode("utf-8"))
        self._at = to

    def _more(self) -> bool:
        """Read on, twice as much as is in the window already; is there more?"""
        if self._ended:
            return False
        chunk = self._file.read(max(_CHUNK, len(self._text) - self._at))
        self._ended = not chunk
        self._text = self._text[self._at :] + self._decoder.decode(chunk, final=self._ended)
        self._at = 0
        return not self._ended
