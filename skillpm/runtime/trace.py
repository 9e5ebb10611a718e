"""The log of hook calls, in skillpm's own process and in workers; ``SKILLPM_TRACE_HOOKS=1`` prints it."""

from __future__ import annotations

import logging

__all__ = ["trace"]

_LOG = logging.getLogger("skillpm.hooks")


def trace(hook: str, plugin: str, source: str, outcome: str, seconds: float) -> None:
    """Log one call. Its texts may be a skill's own: whoever prints them escapes them."""
    _LOG.debug("%s of %s (%s): %s in %.1f ms", hook, plugin, source, outcome, seconds * 1000)
