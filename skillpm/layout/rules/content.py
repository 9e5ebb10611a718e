"""SK6: what stands in the text of every file and a person does not see. It is spelled out; nothing is judged."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from skillpm.layout.hidden import Hidden, sightings
from skillpm.layout.rule import Rule, RuleSet, Scope
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem, Severity

LOOK = "look at the place in an editor that shows such characters; remove them"
HIGHER = "move it up, or remove it"
ERROR, WARNING = Severity.ERROR, Severity.WARNING

# code, severity, kind, title, label in a message, hint, why, what it looks at
_HIDDEN: tuple[tuple[str, Severity, Hidden, str, str, str, str, str], ...] = (
    ("SK601", ERROR, Hidden.TAGS, "hidden text in tags", "hidden text", LOOK,
     "Unicode tags spell ASCII that a model reads and no person sees.",
     "U+E0000 to U+E007F outside of flags."),
    ("SK602", ERROR, Hidden.SELECTORS, "hidden text in variation selectors", "hidden text", LOOK,
     "Each of the 256 variation selectors carries one byte that a model reads and no person sees.",
     "The supplementary selectors, save one behind an ideograph; four or more of any in a row."),
    ("SK603", ERROR, Hidden.BIDI, "bidirectional controls", "bidirectional control", LOOK,
     "They reorder what a person sees, so that code or text reads otherwise than it runs (Trojan Source).",
     "Embeddings, overrides and isolates: U+202A to U+202E, U+2066 to U+2069."),
    ("SK604", ERROR, Hidden.ZERO_WIDTH_RUN, "invisible characters in a row", "invisible characters in a row", LOOK,
     "Four or more carry data; no script needs that many.",
     "Zero-width spaces and joiners, fillers, soft hyphens, selectors."),
    ("SK605", WARNING, Hidden.ZERO_WIDTH, "invisible characters", "invisible characters", LOOK,
     "Two texts that look alike differ; often pasted from a web page, sometimes meant.",
     "The same, up to three in a row; joiners and selectors count after ASCII only."),
    ("SK606", ERROR, Hidden.ESCAPE, "terminal escape", "terminal escape", LOOK,
     "Printed on a terminal it hides or fakes what a person sees.",
     "Escapes that move, erase, conceal or name, their 8-bit form, and backspace; not colours in a document."),
    ("SK607", WARNING, Hidden.CONTROL, "control characters", "control characters", LOOK,
     "Programs disagree on them, YAML refuses them, and a bare carriage return overprints a line.",
     "C0 and C1 controls other than tab, newline and next line; carriage returns inside of lines."),
    ("SK608", ERROR, Hidden.FAR, "text out of sight", "out of sight", HIGHER,
     "A reader who scrolls believes that the file has ended.",
     "Text behind 400 or more white-space characters that are no column of a table, or behind 50 blank lines."),
)  # fmt: skip

RULES = RuleSet()


def _shown(kind: Hidden, label: str, hint: str, subject: Subject) -> Iterator[Problem]:
    yield from subject.contents.problems(kind, label, hint)
    if subject.fields and "\\" in (subject.parts.yaml or ""):
        yield from _escaped(subject, kind, label, hint)


for _code, _severity, _kind, _title, _label, _hint, _why, _what in _HIDDEN:
    _look = partial(_shown, _kind, _label, _hint)
    RULES.add(Rule(_code, _title, _severity, WARNING, _why, _look, Scope.TREE, _what))


@RULES.warning("SK609", "neither text nor a known format", why="It could not be scanned.")
def opaque_file(subject: Subject) -> Iterator[Problem]:
    """Not UTF-8, or with NUL, and none of the formats that are known."""
    for path in subject.contents.opaque:
        if path != subject.skill_path:
            yield Problem("neither UTF-8 text nor a known format", path=path, hint="save text as UTF-8")


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
