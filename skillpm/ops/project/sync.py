"""``skillpm sync`` and ``skillpm update``: install exactly the required skills."""

from __future__ import annotations

from collections.abc import Sequence

from skillpm.errors import LockOutOfDateError, SkillpmError, UsageError
from skillpm.model.lock import Lock
from skillpm.ops.context import Context
from skillpm.ops.project.apply import Decision
from skillpm.ops.project.choose import Selection
from skillpm.ops.project.install import InstallOptions, carry_out
from skillpm.ops.project.installation import Installation
from skillpm.ops.project.linking import Linking
from skillpm.ops.project.lock import relock
from skillpm.ops.project.required import out_of_date, refuse_out_of_date, required
from skillpm.resolve.agreement import disagreements, other_sources, refuse_incoherent
from skillpm.resolve.plan import as_locked
from skillpm.storage.files import read_text


def sync(context: Context, options: InstallOptions, *, locked: bool = False, frozen: bool = False) -> Installation:
    """Install the required skills and remove all others. No index is queried for a skill in the store.

    The lock is updated first. One that is ``locked`` must be up to date, and one that is ``frozen`` is used as it is.

    Raises:
        UsageError: there is neither a project file nor a lock, or a folder has foreign content.
        LockOutOfDateError: the lock does not agree with the requirements, or there is no lock.
    """
    choose = _frozen if frozen else _locked if locked else _renewed
    return carry_out(context, lambda to: choose(context, to), options)


def update(context: Context, names: Sequence[str], options: InstallOptions) -> Installation:
    """Install the newest releases that the requirements allow, of all skills or of these.

    Raises:
        UsageError: nothing is installed, or a folder was edited.
        UnknownSkillError: a name is not locked.
    """
    return carry_out(context, lambda to: _renewed(context, to, names), options)


def _renewed(context: Context, to: Linking, upgrade: Sequence[str] | None = None) -> Decision:
    settings = context.settings
    if settings.document is None and not settings.lock_path.exists():
        raise UsageError("there is no skillpm.lock here", hint="run `skillpm install NAME`")
    return Decision(relock(context, context.lock(), upgrade=upgrade), to)


def _locked(context: Context, to: Linking) -> Decision:
    lock, text = _present_lock(context)
    refuse_out_of_date(out_of_date(context, required(context, lock), lock))
    return Decision(Selection(as_locked(lock)), to, lock_text=text)


def _frozen(context: Context, to: Linking) -> Decision:
    lock, text = _present_lock(context)
    refuse_incoherent(lock)
    return Decision(Selection(as_locked(lock)), to, lock_text=text, settled=_settled(context, lock))


def _settled(context: Context, lock: Lock) -> bool:
    """Does a lock agree with the requirements? A notice names each skill that is locked from another source."""
    try:
        requirements = required(context, lock)
    except SkillpmError:  # a frozen sync ignores the requirements; the next sync reports the error
        return False
    for sentence in other_sources(requirements, lock):
        context.note(f"warning: {sentence}")
    return not disagreements(requirements, lock)


def _present_lock(context: Context) -> tuple[Lock, str]:
    path = context.settings.lock_path
    if not path.exists():
        raise LockOutOfDateError("there is no skillpm.lock here", hint="run `skillpm lock`, and commit skillpm.lock")
    return context.lock(), read_text(path)
