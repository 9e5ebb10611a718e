"""Versions of PEP 440 in the words of semver, which most other clients read."""

from __future__ import annotations

from packaging.version import Version


def semantic(version: str) -> str:
    """Return a version in the form of semver 2.0: `1.2rc1` is `1.2.0-rc.1`."""
    parsed = Version(version)
    release = ".".join(str(number) for number in (*parsed.release, 0, 0)[:3])
    before = [*(str(part) for part in parsed.pre or ())] + ([f"dev.{parsed.dev}"] if parsed.dev is not None else [])
    after = [*(map(str, parsed.release[3:]))] + ([f"post.{parsed.post}"] if parsed.post is not None else [])
    return release + (f"-{'.'.join(before)}" if before else "") + (f"+{'.'.join(after)}" if after else "")
