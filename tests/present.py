"""What may be None, in tests that know that it is not."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def present(value: T | None) -> T:
    """Return a value, and fail the test where it is None."""
    assert value is not None
    return value
