"""The sandbox that this invocation gets: what is asked for, what policies require, and what plugins bring."""

from __future__ import annotations

from functools import partial

from skillpm.ops.extensions import foreign_sandboxes
from skillpm.runtime.sandbox import Sandbox, choose
from skillpm.settings import Settings

__all__ = ["open_sandbox"]


def open_sandbox(settings: Settings) -> Sandbox:
    """Return what confines skill code; plugins are loaded only where none of our own levels is asked for or will do.

    Raises:
        PolicyError: this machine does not offer what is required.
        PluginError: the level that is asked for failed, or two plugins bring levels of one name.
    """
    return choose(settings.sandbox, partial(foreign_sandboxes, settings), required=settings.sandbox_required)
