"""Phrasing: the request for a target that has been drawn already.

Templates are compiled once into parts. A row then picks a frame, a request and a clause for each drawn slot, and the
parts are written one after the other. White space and punctuation are put in order between parts, never inside a value:
a path that is ``.`` or a tag with capitals reaches the request as it is. A template of several lines, such as a mail or
a log, keeps its white space.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from skillpm.model.synthesis import CLAUSE, SLOT
from skillpm.synth.pools import Chance

_HOLES = re.compile(rf"(?P<slot>{SLOT.pattern})|(?P<place>{CLAUSE.pattern})")
_SPACES = re.compile(r"\s+")
_SPACE_BEFORE_MARK = re.compile(r" (?=[.,!?;]+(?:\s|$))")
_CLOSING = re.compile(r"[.,!?;:]+(?:\s|$)")
_MARKS = (".", ",", "!", "?")
_ENDS = (".", "!", "?")
_LONG_WORD = re.compile(r"[A-Za-z]{5,}")
REST = "*"


class Part(NamedTuple):
    """A piece of a template: a literal, or a hole.

    Attributes:
        slot: the slot whose text stands here, or empty.
        place: the slot whose clause stands here, ``*`` for all that are left, or empty.
        literal: the text where it is neither, without the space around it.
        leads: does a space stand before the literal?
        trails: does a space stand after it?
        closes: does the literal begin with a mark that belongs to what stands before it?
        ends: does it end a sentence?
    """

    slot: str = ""
    place: str = ""
    literal: str = ""
    leads: bool = False
    trails: bool = False
    closes: bool = False
    ends: bool = False

    @classmethod
    def of(cls, literal: str, *, before_place: bool = False) -> Part:
        """Compile a literal whose white space is in order."""
        closes = _CLOSING.match(literal) is not None or (before_place and literal in _MARKS)
        text, trails = literal.strip(" "), literal[-1] == " "
        if text.endswith("\n"):  # spaces at the end are the indentation of what follows
            text, trails = literal.lstrip(" "), False
        ends = text.rstrip().endswith(_ENDS)
        return cls(literal=text, leads=literal[0] == " ", trails=trails, closes=closes, ends=ends)


_SPACE = Part(leads=True, trails=True)


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled request or clause.

    Attributes:
        slots: the slots whose text it holds.
        places: the slots that have a place of their own.
        rest: does it have a place for all the others?
        name: a digest of its text.
    """

    parts: tuple[Part, ...]
    slots: frozenset[str]
    places: frozenset[str]
    rest: bool
    name: str

    @classmethod
    @lru_cache(maxsize=1 << 14)  # a skill's requests are compiled for its checks and for each side
    def of(cls, text: str) -> Template:
        """Compile a template of synthesis.yaml."""
        parts = tuple(_parts(_in_order(text)))
        places = frozenset(part.place for part in parts if part.place)
        slots = frozenset(part.slot for part in parts if part.slot)
        name = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return cls(parts, slots, places - {REST}, REST in places, name)


class Frame(NamedTuple):
    """What stands before and after a request."""

    before: tuple[Part, ...]
    after: tuple[Part, ...]

    @classmethod
    def of(cls, text: str) -> Frame:
        """Compile a frame: text with ``{request}`` once."""
        before, _, after = _in_order(text).partition("{request}")
        return cls(tuple(map(Part.of, filter(None, [before]))), tuple(map(Part.of, filter(None, [after]))))


_BARE = Frame((), ())


def _in_order(text: str) -> str:
    lines = text.strip()
    if "\n" in lines:
        return lines.replace("\r\n", "\n")
    return _SPACE_BEFORE_MARK.sub("", _SPACES.sub(" ", text))


def _parts(text: str) -> Iterator[Part]:
    end, rest_seen = 0, False
    for found in chain(_HOLES.finditer(text), (None,)):
        literal = text[end : found.start() if found else len(text)]
        if literal:
            yield Part.of(literal, before_place=found is not None and found["place"] is not None)
        if found is None:
            return
        end = found.end()
        name = found[0][1:-1]
        if found["slot"]:
            yield Part(slot=name)
        elif name != REST or not rest_seen:
            rest_seen = rest_seen or name == REST
            yield Part(place=name)


def write(parts: Sequence[Part], texts: Mapping[str, str], *, capital: bool = True) -> str:
    """Write literals and slots as one sentence.

    No two spaces and no space before a closing mark come to stand between parts; of two closing marks the later stays,
    and none follows a value that ends with one. ``capital`` raises the first letter where it is a literal's. So is the
    first letter of a sentence behind a literal that ends one.
    """
    out: list[str] = []
    space = from_value = False  # is a space due? is the last piece a value?
    for slot, _, literal, leads, trails, closes, ends in parts:
        text = texts[slot] if slot else literal
        # Two marks would meet. A literal gives way, never a value: the target holds the value letter for letter, so a
        # request with another one would teach the model to change what it was told.
        if closes and out and out[-1].endswith(_MARKS):
            if from_value:
                text = text[1:]
            else:
                out[-1] = out[-1][:-1]
        if text:
            if (space or leads) and out and not closes and text[0] != "\n" and not _begins_line(out[-1]):
                out.append(" ")
            if capital and not slot:
                text = text[0].upper() + text[1:]
            out.append(text)
            space, from_value = trails, bool(slot)
            capital = ends
        elif not slot:
            space = space or leads or trails
    return "".join(out)


def _begins_line(text: str) -> bool:
    """Is the last line of a text nothing but indentation?"""
    return "\n" in text and not text.rpartition("\n")[2].strip(" ")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a set of drawn slots can be said.

    Attributes:
        requests: templates that fit, each with the slots that go to its ``[*]``.
        clauses: the clauses that fit, by slot.
    """

    requests: tuple[tuple[Template, tuple[str, ...]], ...]
    clauses: Mapping[str, tuple[Template, ...]]


class Phrasing:
    """The requests, clauses and frames of one task on one side of the split."""

    def __init__(
        self,
        frames: Sequence[str],
        requests: Sequence[str],
        clauses: Mapping[str, Sequence[str]],
        *,
        implied: frozenset[str],
        spoken: frozenset[str],
        framed: float = 1.0,
        slips: float = 0.0,
    ) -> None:
        """Compile.

        Args:
            frames: wrapped around requests.
            requests: what is asked.
            clauses: by slot.
            implied: slots that are always drawn with one value, so that a request need not say them.
            spoken: slots that have a text even while they are not drawn.
            framed: share of requests that get a frame.
            slips: share of requests in which a word is misspelt.
        """
        self._frames = tuple(Frame.of(text) for text in frames)
        self._requests = tuple(Template.of(text) for text in requests)
        self._clauses = {slot: tuple(Template.of(text) for text in texts) for slot, texts in clauses.items()}
        self._implied = implied
        self._spoken = spoken
        self._framed = framed
        self._slips = slips

    def plan(self, drawn: frozenset[str]) -> Plan | None:
        """Return how these slots can be said, or None where no request says them all."""
        # A request must say each drawn slot: the target holds its value, and a model that is trained on values nobody
        # told it learns to guess. And it must say no slot that was not drawn, unless its default has a text to say.
        sayable = drawn | self._spoken
        clauses = {
            slot: sensible
            for slot, texts in self._clauses.items()
            if slot in drawn and (sensible := tuple(text for text in texts if text.slots <= sayable))
        }
        # Which clause is picked is left to chance in each row, so only what all clauses of a slot say counts as said.
        # Then a plan holds for every row with these slots, and is made once for all of them.
        said = {
            slot: frozenset.intersection(*(text.slots for text in texts)) | {slot} for slot, texts in clauses.items()
        }
        requests: list[tuple[Template, tuple[str, ...]]] = []
        for request in self._requests:
            here = request.places & drawn
            placed = request.places | request.slots
            rest = tuple(slot for slot in clauses if slot not in placed) if request.rest else ()
            if request.slots <= sayable and here <= clauses.keys():
                covered = request.slots.union(*(said[slot] for slot in (*here, *rest)))
                if drawn - self._implied <= covered:
                    requests.append((request, rest))
        return Plan(tuple(requests), clauses) if requests else None

    def write(self, plan: Plan, texts: Mapping[str, str], chance: Chance) -> tuple[str, str]:
        """Return a request that says the drawn slots with these texts, and the name of its template."""
        frame = self._frame(chance)
        request, rest = plan.requests[int(chance() * len(plan.requests))]
        parts = list(frame.before)
        for part in request.parts:
            place = part.place
            if not place:
                parts.append(part)
            elif place == REST:
                for slot in _shuffled(rest, chance):
                    options = plan.clauses[slot]
                    parts += (_SPACE, *options[int(chance() * len(options))].parts)
                parts.append(_SPACE)
            elif place in plan.clauses:
                options = plan.clauses[place]
                parts += options[int(chance() * len(options))].parts
        parts += frame.after
        if self._slips and chance() < self._slips:
            parts = _with_slip(parts, chance)
        return write(parts, texts, capital=not frame.before), request.name

    def _frame(self, chance: Chance) -> Frame:
        if self._framed < 1 and chance() >= self._framed:
            return _BARE
        return self._frames[int(chance() * len(self._frames))]


def _with_slip(parts: list[Part], chance: Chance) -> list[Part]:
    """Let two neighbouring letters inside one long word of a literal change places; values stay as they are."""
    words = [(place, word) for place, part in enumerate(parts) for word in _LONG_WORD.finditer(part.literal)]
    if not words:
        return parts
    place, word = words[int(chance() * len(words))]
    first = word.start() + 1 + int(chance() * (len(word[0]) - 3))
    text = parts[place].literal
    slip = text[:first] + text[first + 1] + text[first] + text[first + 2 :]
    return [*parts[:place], parts[place]._replace(literal=slip), *parts[place + 1 :]]


def _shuffled(slots: tuple[str, ...], chance: Chance) -> Sequence[str]:
    if len(slots) < 2:
        return slots
    # Fisher and Yates by hand: of random.Random's methods, only random() is promised to give the same numbers for one
    # seed in every version of Python
    order = list(slots)
    for last in range(len(order) - 1, 0, -1):
        other = int(chance() * (last + 1))
        order[last], order[other] = order[other], order[last]
    return order
