"""The error model, whole.

1. Library code raises one of the families below; nothing but ``cli/`` prints or exits.
2. A family has a stable ``name`` (in ``--json``) and a stable ``exit_code``. The codes in use:
   0 ok, 1 a check found something, 2 usage, 3 no resolution, 4 integrity or signature, 5 network or registry,
   6 consent, policy, permission, 7 lock out of date, 8 busy, 9 plugin or verifier, 10 training,
   11 no decision can be made (``skillpm gate``, or a limit that left no answer), 130/143 signals.
3. A message tells what happened and where, in one line; the hint, apart from it, tells what to do next.
4. What is not a ``SkillpmError`` is a defect of skillpm: it keeps its traceback and exits 70.
5. "Could not judge" is a value (``Verdict.errored``), never an exception that reaches a trainer.
"""

from __future__ import annotations

from typing import Any, ClassVar


class SkillpmError(Exception):
    """Base of the errors that a person or a program can act upon.

    Args:
        message: what happened and where; one line, no full stop at the end.
        hint: what to do next, or None.
        details: structure for programs; JSON-ready values only.
    """

    name: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints this error."""
        return {
            "error": self.name,
            "exit_code": self.exit_code,
            "message": self.message,
            "hint": self.hint,
            **({"details": self.details} if self.details else {}),
        }


class CheckError(SkillpmError):
    """A check failed: validate, selftest, an evaluation gate."""

    name = "check"
    exit_code = 1


class LayoutError(CheckError):
    """A tree is not a skill that can be installed; ``details['findings']`` holds all findings."""

    name = "layout"


class InconclusiveError(SkillpmError):
    """The figures bear neither yes nor no."""

    name = "inconclusive"
    exit_code = 11


class UsageError(SkillpmError):
    """A flag, an argument or a name is wrong."""

    name = "usage"
    exit_code = 2


class DocumentError(UsageError):
    """A document is invalid.

    Args:
        message: the rule that was broken.
        path: the file, as the user knows it.
        line: 1-based, where known.
    """

    name = "document"

    def __init__(self, message: str, *, path: str = "", line: int | None = None, hint: str | None = None) -> None:
        place = f"{path}:{line}" if path and line else path
        super().__init__(f"{place}: {message}" if place else message, hint=hint, path=path, line=line)
        self.rule = message
        self.path = path
        self.line = line


class UnknownSkillError(UsageError):
    """A skill of that name is not installed, or not in any registry."""

    name = "unknown-skill"


class ResolutionError(SkillpmError):
    """No set of releases satisfies the requirements; ``details`` hold the causes."""

    name = "resolution"
    exit_code = 3


class IntegrityError(SkillpmError):
    """Bytes are not what a digest, a format or a signature promised."""

    name = "integrity"
    exit_code = 4


class RegistryError(SkillpmError):
    """A registry, an index or the network failed."""

    name = "registry"
    exit_code = 5


class ConflictError(RegistryError):
    """A registry has that version with other content; a published version never changes."""

    name = "conflict"


class ConsentError(SkillpmError):
    """Skill code would run without consent."""

    name = "consent"
    exit_code = 6


class PolicyError(SkillpmError):
    """A policy of the user or of the project forbids the operation."""

    name = "policy"
    exit_code = 6


class StorageError(SkillpmError):
    """The local disk failed: full, read-only or not permitted."""

    name = "storage"
    exit_code = 6


class LockOutOfDateError(SkillpmError):
    """``skillpm.lock`` disagrees with the requirements or with the store."""

    name = "lock"
    exit_code = 7


class BusyError(SkillpmError):
    """Another skillpm process held the lock until the time-out."""

    name = "busy"
    exit_code = 8


class PluginError(SkillpmError):
    """A plugin failed; ``details`` name the plugin and the hook."""

    name = "plugin"
    exit_code = 9


class VerifierError(PluginError):
    """A skill's verifier crashed, timed out or returned the wrong shape."""

    name = "verifier"


class TrainingError(SkillpmError):
    """Training could not start or had to stop."""

    name = "training"
    exit_code = 10
