"""The next version. One rule for all: of the versions that have the wanted shape, the lowest that is higher.

So ``minor`` makes 1.3.0 of 1.2.7 and 2.0.0 of 2.0.0rc1; ``rc`` makes 1.3.0rc2 of 1.3.0rc1 and 1.3.0rc1 of 1.3.0b4, and
nothing of 1.3.0, which is above all its candidates: there ``patch rc`` is meant. Source of the order: PEP 440.
"""

from __future__ import annotations

from collections.abc import Sequence

from packaging.version import Version

from skillpm.errors import UsageError
from skillpm.model.name import did_you_mean
from skillpm.model.requirement import parse_version

_RELEASE = {"major": 0, "minor": 1, "patch": 2}
_SUFFIX = {"alpha": "a{}", "beta": "b{}", "rc": "rc{}", "post": ".post{}", "dev": ".dev{}"}
PARTS = (*_RELEASE, "release", *_SUFFIX)


def next_version(version: str, parts: Sequence[str]) -> str:
    """Return the version after this one.

    A part is one of PARTS, or a part of the release (major, minor, patch) and then a suffix: ``("minor", "rc")``.

    Raises:
        UsageError: a part is not known, or nothing of that shape is higher.
    """
    for part in parts:
        if part not in PARTS:
            hint = did_you_mean(part, PARTS, f"the parts are {', '.join(f'`{name}`' for name in PARTS)}")
            raise UsageError(f"`{part[:80]}` is not a part of a version", hint=hint)
    now = parse_version(version)
    match tuple(parts):
        case (part,) if part in _RELEASE:
            return _text(now, _release(now, part))
        case ("release",):
            return _higher(now, _text(now, now.release), parts)
        case (suffix,) if suffix in _SUFFIX:
            return _higher(now, _with_suffix(now, now.release, suffix), parts)
        case (part, suffix) if part in _RELEASE and suffix in _SUFFIX:
            release = _release(now, part)
            text = _with_suffix(now, release, suffix)
            following = _release(Version(_text(now, release)), part)
            return text if Version(text) > now else _with_suffix(now, following, suffix)
        case _:
            raise UsageError(
                f"`{' '.join(parts)[:80]}` does not name a next version",
                hint="name one part, or major, minor or patch and then a suffix: `minor rc`",
            )


def _release(now: Version, part: str) -> tuple[int, ...]:
    """Return the release numbers of the lowest final version of this shape that is higher than ``now``."""
    place = _RELEASE[part]
    numbers = [*now.release, 0, 0, 0][: max(len(now.release), place + 1)]
    below = [*numbers[: place + 1], *[0] * (len(numbers) - place - 1)]
    if Version(_text(now, tuple(below))) <= now:
        below[place] += 1
    return tuple(below)


def _with_suffix(now: Version, release: tuple[int, ...], kind: str) -> str:
    """Return the release with a suffix of this kind, numbered from 1 on, that is higher than ``now`` if any is."""
    held = {"post": now.post, "dev": now.dev}.get(kind)
    if now.pre is not None and _SUFFIX[kind].startswith(now.pre[0]):
        held = now.pre[1]
    texts = [_text(now, release) + _SUFFIX[kind].format(number) for number in (1, held or 0, (held or 0) + 1)]
    return next((text for text in texts if Version(text) > now), texts[0])


def _text(now: Version, release: tuple[int, ...]) -> str:
    return (f"{now.epoch}!" if now.epoch else "") + ".".join(map(str, release))


def _higher(now: Version, text: str, parts: Sequence[str]) -> str:
    if Version(text) > now:
        return text
    final = parts[-1] not in _SUFFIX
    raise UsageError(
        f"`{parts[-1]}` of {now} would be {text}, which is not higher",
        hint=f"begin the next {'one with major, minor or patch' if final else f'one: `patch {parts[-1]}`'}",
    )
