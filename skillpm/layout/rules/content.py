"""SK6: what stands in the text of every file and a person does not see. It is spelled out; nothing is judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from skillpm.layout.hidden import Hidden, sightings
from skillpm.layout.rule import Rule, rule
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem, Severity

LOOK = "look at the place in an editor that shows such characters; remove them"


@rule(
    "SK601",
    "hidden text in tags",
    why="Unicode tags spell ASCII that a model reads and no person sees.",
)
def hidden_tags(subject: Subject) -> Iterator[Problem]:
    """U+E0000 to U+E007F outside of flags."""
    yield from _seen(subject, Hidden.TAGS, "hidden text")


@rule(
    "SK602",
    "hidden text in variation selectors",
    why="Each of the 256 variation selectors carries one byte that a model reads and no person sees.",
)
def hidden_selectors(subject: Subject) -> Iterator[Problem]:
    """The supplementary selectors, save one behind an ideograph; four or more of any in a row."""
    yield from _seen(subject, Hidden.SELECTORS, "hidden text")


@rule(
    "SK603",
    "bidirectional controls",
    why="They reorder what a person sees, so that code or text reads otherwise than it runs (Trojan Source).",
)
def bidirectional_controls(subject: Subject) -> Iterator[Problem]:
    """Embeddings, overrides and isolates: U+202A to U+202E, U+2066 to U+2069."""
    yield from _seen(subject, Hidden.BIDI, "bidirectional control")


@rule(
    "SK604",
    "invisible characters in a row",
    why="Four or more carry data; no script needs that many.",
)
def invisible_run(subject: Subject) -> Iterator[Problem]:
    """Zero-width spaces and joiners, fillers, soft hyphens, selectors."""
    yield from _seen(subject, Hidden.ZERO_WIDTH_RUN, "invisible characters in a row")


@rule(
    "SK605",
    "invisible characters",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    why="Two texts that look alike differ; often pasted from a web page, sometimes meant.",
)
def invisible_characters(subject: Subject) -> Iterator[Problem]:
    """The same, up to three in a row; joiners and selectors count after ASCII only."""
    yield from _seen(subject, Hidden.ZERO_WIDTH, "invisible characters")


@rule(
    "SK606",
    "terminal escape",
    why="Printed on a terminal it hides or fakes what a person sees.",
)
def terminal_escape(subject: Subject) -> Iterator[Problem]:
    """Escape, its 8-bit form, and backspace."""
    yield from _seen(subject, Hidden.ESCAPE, "terminal escape")


@rule(
    "SK607",
    "control characters",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    why="Programs disagree on them, YAML refuses them, and a bare carriage return overprints a line.",
)
def control_characters(subject: Subject) -> Iterator[Problem]:
    """C0 and C1 controls other than tab, newline and next line; carriage returns inside of lines."""
    yield from _seen(subject, Hidden.CONTROL, "control characters")


@rule(
    "SK608",
    "text out of sight",
    why="A reader who scrolls believes that the file has ended.",
)
def far_text(subject: Subject) -> Iterator[Problem]:
    """Text behind 400 or more white-space characters."""
    yield from _seen(subject, Hidden.FAR, "out of sight", hint="move it up, or remove it")


@rule(
    "SK609",
    "neither text nor a known format",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    why="It could not be looked at.",
)
def opaque_file(subject: Subject) -> Iterator[Problem]:
    """Not UTF-8, or with NUL, and none of the formats that are known."""
    for path in subject.contents.opaque:
        if path != subject.skill_path:
            yield Problem("neither UTF-8 text nor a known format", path=path, hint="save text as UTF-8")


def _seen(subject: Subject, what: Hidden, title: str, *, hint: str = LOOK) -> Iterator[Problem]:
    for place in subject.contents.hidden.get(what, ()):
        yield Problem(f"{title}: {place.message}", place.line, place.path, hint, place.column)
    if subject.fields and "\\" in (subject.parts.yaml or ""):
        yield from _escaped(subject, what, title, hint)


def _escaped(subject: Subject, what: Hidden, title: str, hint: str) -> Iterator[Problem]:
    """Yield what the frontmatter writes as YAML escapes: the file does not show it, a client's model does."""
    assert subject.fields is not None
    for key, field in subject.fields.items():
        for value in _strings(field):
            if value in (subject.parts.yaml or ""):
                continue
            for sighting in sightings(value, value.encode("utf-8", "surrogatepass")):
                if sighting.what is what:
                    line = subject.fields.lines[key]
                    yield Problem(f"{title} in `{key[:80]}`: {sighting.message}", line, hint=hint)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


RULES: tuple[Rule, ...] = (
    hidden_tags,
    hidden_selectors,
    bidirectional_controls,
    invisible_run,
    invisible_characters,
    terminal_escape,
    control_characters,
    far_text,
    opaque_file,
)
