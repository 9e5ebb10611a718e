"""Renews the listing of a registry apart from the publications, because it names every skill and takes its time."""

from __future__ import annotations

import logging
import queue
import threading

from skillpm.errors import SkillpmError
from skillpm.index.folder_registry import FolderRegistry

_PAUSE = 0.3  # seconds in which publications come together
_log = logging.getLogger("skillpm_registry")


class Lister:
    """A thread that renews the listing.

    Args:
        registry: its folder.
    """

    def __init__(self, registry: FolderRegistry) -> None:
        self._registry = registry
        self._names: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="lister", daemon=True)
        self._thread.start()

    def renew(self, name: str) -> None:
        """Renew the line of a name soon."""
        self._names.put(name)

    def close(self) -> None:
        """Renew what is to be renewed, and end the thread."""
        self._names.put(None)
        self._thread.join()

    def _work(self) -> None:
        self._list(set())  # a server that was killed may have left names out
        while (name := self._names.get()) is not None:
            names, ended = {name}, False
            ended = self._collect(names)
            self._list(names)
            if ended:
                return

    def _collect(self, names: set[str]) -> bool:
        """Add the names that come within the pause; return True at the end of the work."""
        try:
            while (name := self._names.get(timeout=_PAUSE)) is not None:
                names.add(name)
        except queue.Empty:
            return False
        return True

    def _list(self, names: set[str]) -> None:
        try:
            self._registry.list_again(names)
        except SkillpmError as error:
            _log.error("the listing cannot be renewed", exc_info=error)
