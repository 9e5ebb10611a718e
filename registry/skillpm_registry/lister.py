"""Does what publications leave to be done, apart from them, because that takes its time.

That is the index and the listing, soon after a publication; what nobody else finishes, because the gate has judged it
or the witnesses of a log are back; and in a signed registry the signatures, long before they expire.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from skillpm.errors import SkillpmError
from skillpm.index.folder_registry import FolderRegistry

_PAUSE = 0.3  # seconds in which publications come together, at least
_SHARE = 10  # a listing of many skills takes long: it is renewed so that this takes a tenth of the time
_NOTHING = ""  # no name: the thread is woken, and no listing changes
_HOUR = 3600.0  # seconds between two looks at the signatures
_log = logging.getLogger("skillpm_registry")


class Lister:
    """A thread that renews the listing and the signatures.

    Args:
        registry: its folder.
        index: indexes the changes that were noted.
        tidy: removes what nobody needs any more; it is called at least every hour.

    Attributes:
        after: finishes what is left; it is called as often.
    """

    def __init__(
        self, registry: FolderRegistry, index: Callable[[], object], tidy: Callable[[], object] = lambda: None
    ) -> None:
        self._registry = registry
        self._index = index
        self._tidy = tidy
        self.after: Callable[[], object] = lambda: None
        self._names: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="lister", daemon=True)
        self._thread.start()

    def renew(self, name: str) -> None:
        """Renew the line of a name soon."""
        self._names.put(name)

    def wake(self) -> None:
        """Have ``after`` called soon."""
        self._names.put(_NOTHING)

    def close(self) -> None:
        """Renew what is to be renewed, and end the thread."""
        self._names.put(None)
        self._thread.join()

    def _work(self) -> None:
        took = self._list(set())  # a server that was killed may have left names out
        ended = False
        while not ended:
            self._sign()
            self._attempt("abandoned uploads cannot be removed", self._tidy)
            self._attempt("what waited cannot go live", self.after)
            names: set[str] = set()
            ended = self._collect(names, _HOUR)
            end = time.monotonic() + max(_PAUSE, _SHARE * took)
            while names - {_NOTHING} and not ended and time.monotonic() < end:
                ended = self._collect(names, end - time.monotonic())
            if not ended:
                self._attempt("the index cannot be renewed", self._index)
            if names != {_NOTHING}:
                took = self._list(names)

    def _collect(self, names: set[str], seconds: float) -> bool:
        """Add the next name, and those that are there already; return True at the end of the work."""
        try:
            name = self._names.get(timeout=max(0.0, seconds))
            while name is not None:
                names.add(name)
                name = self._names.get_nowait()
        except queue.Empty:
            return False
        return True

    def _sign(self) -> None:
        """Sign anew what has used up half of its time."""
        signer = self._registry.signer
        try:
            if signer is not None and signer.is_due:
                for release, reason in signer.refresh(whole=False).items():
                    _log.warning("%s waits for the witnesses of the log: %s", release, reason)
        except (SkillpmError, OSError) as error:
            _log.error("the registry cannot be signed anew", exc_info=error)

    def _list(self, names: set[str]) -> float:
        """Renew the lines of some names; return the seconds of the processor that this took."""
        begin = time.thread_time()
        self._attempt("the listing cannot be renewed", lambda: self._registry.list_again(names))
        return time.thread_time() - begin

    def _attempt(self, failure: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  the database has errors of its own, and signatures must not expire
            _log.error(failure, exc_info=error)
