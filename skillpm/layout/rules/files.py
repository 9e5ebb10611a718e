"""SK4: the other files of the tree: what they are called, and what they are."""

from __future__ import annotations

import posixpath
import re
import sys
from collections import defaultdict
from collections.abc import Iterator

from skillpm.errors import StorageError
from skillpm.layout.rule import Problem, Rule, rule
from skillpm.layout.subject import Subject
from skillpm.model.finding import Severity
from skillpm.model.name import WINDOWS_DEVICES

__all__ = ["RULES"]

MANY_FILES = 1000
PATH_BYTES = 240
PATH_LEVELS = 10
RENAME = "rename it"
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_UNPORTABLE = re.compile(r"""[^\x20-\x7e]|[<>:"|?*]""")
_NATIVE_ENDINGS = (".so", ".dll", ".dylib", ".exe", ".pyd", ".node")
_NATIVE_MAGIC = (
    b"\x7fELF",
    b"MZ\x90\x00",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
)
_START_UP_NAMES = frozenset({"sitecustomize.py", "usercustomize.py"})
_START_UP_ENDINGS = (".pth", ".start", ".egg-link")


@rule(
    "SK401",
    "another SKILL.md inside",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    why="Clients stop at the first SKILL.md or load both; authors rarely mean either.",
)
def nested_skill(subject: Subject) -> Iterator[Problem]:
    """A SKILL.md in a folder below."""
    if subject.skill_path:
        for path in subject.paths:
            if path.endswith("/SKILL.md"):
                yield Problem("a second SKILL.md inside the skill", path=path, hint="make it a skill of its own")


@rule(
    "SK402",
    "not a regular file",
    lenient=Severity.WARNING,
    why="Links may point at a host's own files, pipes and devices may never end; none of them is packed.",
)
def irregular_entry(subject: Subject) -> Iterator[Problem]:
    """A link, a pipe, a socket, a device, or a folder that cannot be listed."""
    for path, kind in subject.tree.irregular().items():
        yield Problem(f"is no regular file but a {kind}", path=path, hint="put the content itself there, or remove it")


@rule(
    "SK403",
    "name that is not safe",
    why="Control characters, backslashes, hidden characters or `..` in a name fool terminals and unpackers.",
)
def unsafe_path(subject: Subject) -> Iterator[Problem]:
    """Characters that no file of a skill needs."""
    for path in subject.paths:
        if (not path.isascii() or not path.isprintable() or "\\" in path) and _UNSAFE.search(path):
            yield Problem("the name holds control characters, a backslash or hidden characters", path=path, hint=RENAME)
        elif {"", ".", ".."} & set(path.split("/")):
            yield Problem("the path is not canonical", path=path, hint=RENAME)


@rule(
    "SK404",
    "name that does not travel",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    why="File systems disagree on such names, so archives of skills do not hold them.",
)
def unportable_path(subject: Subject) -> Iterator[Problem]:
    """Not ASCII, reserved on Windows, too long or too deep."""
    for path in subject.paths:
        reason = _unportable(path)
        if reason:
            yield Problem(f"the name {reason}", path=path, hint=RENAME)


@rule(
    "SK405",
    "names that differ in case only",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    why="On file systems that do not tell case apart one of them overwrites the other.",
)
def case_twins(subject: Subject) -> Iterator[Problem]:
    """Paths that are equal once case is folded; SKILL.md itself is another rule's."""
    if len({path.casefold() for path in subject.paths}) == len(subject.paths):
        return
    twins = defaultdict(list)
    for path in subject.paths:
        twins[path.casefold()].append(path)
    for folded, paths in twins.items():
        if len(paths) > 1 and folded != "skill.md":
            yield Problem(f"differs from `{paths[0]}` in case only", path=paths[1], hint=RENAME)


@rule(
    "SK406",
    "more than 1,000 files",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    why="Several clients refuse to download that many.",
)
def many_files(subject: Subject) -> Iterator[Problem]:
    """Regular files."""
    if len(subject.paths) > MANY_FILES:
        yield Problem(f"the skill has {len(subject.paths)} files", hint="leave out what can be made again")


@rule(
    "SK407",
    "unreadable file",
    why="A file that cannot be read cannot be packed, and nobody can say what is in it.",
)
def unreadable_file(subject: Subject) -> Iterator[Problem]:
    """Not permitted, or gone while it was read."""
    for path, head in subject.heads.items():
        if isinstance(head, StorageError):
            yield Problem(head.message.removeprefix(f"{path}: "), path=path, hint="make it readable, or remove it")


@rule(
    "SK411",
    "compiled Python",
    why="Bytecode runs in place of the source beside it and cannot be reviewed.",
)
def compiled_python(subject: Subject) -> Iterator[Problem]:
    """``__pycache__``, ``.pyc``, ``.pyo``; a folder on disk leaves them out, an archive shows them."""
    for path in subject.paths:
        if path.endswith((".pyc", ".pyo")) or "__pycache__" in path.split("/"):
            yield Problem("compiled Python", path=path, hint="ship the source")


@rule(
    "SK412",
    "file that Python runs at start-up",
    why="Python executes it before the first line of any script, in whatever environment it lands.",
)
def start_up_file(subject: Subject) -> Iterator[Problem]:
    """``.pth``, ``.start``, ``.egg-link``, ``sitecustomize.py``, ``usercustomize.py``."""
    for path in subject.paths:
        if path.endswith(_START_UP_ENDINGS) or posixpath.basename(path) in _START_UP_NAMES:
            yield Problem("Python runs this file at start-up", path=path, hint="remove it")


@rule(
    "SK413",
    "conftest.py at the root",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    why="pytest imports it in every project that has the skill below its tests.",
)
def root_conftest(subject: Subject) -> Iterator[Problem]:
    """``conftest.py`` beside SKILL.md."""
    if "conftest.py" in subject.files:
        yield Problem("pytest imports this file by itself", path="conftest.py", hint="move it into tests/")


@rule(
    "SK414",
    "native binary",
    lenient=Severity.WARNING,
    why="It cannot be reviewed, and runs on one kind of machine only.",
)
def native_binary(subject: Subject) -> Iterator[Problem]:
    """By ending, or by the first bytes: ELF, PE, Mach-O."""
    for path, head in subject.heads.items():
        if path.endswith(_NATIVE_ENDINGS) or (isinstance(head, bytes) and head.startswith(_NATIVE_MAGIC)):
            yield Problem("native binary", path=path, hint="ship the source, or have it installed as a dependency")


@rule(
    "SK415",
    "script that shadows the standard library",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    why="A script's own folder comes first on Python's path, so `import json` finds this file.",
)
def shadowing_script(subject: Subject) -> Iterator[Problem]:
    """A module's name in a folder that is no package."""
    for path in subject.paths:
        folder, name = posixpath.split(path)
        if not name.endswith(".py") or name[:-3] not in sys.stdlib_module_names:
            continue
        if posixpath.join(folder, "__init__.py") not in subject.files:
            yield Problem(f"shadows the standard library's `{name[:-3]}`", path=path, hint=RENAME)


def _unportable(path: str) -> str | None:
    if _UNSAFE.search(path):
        return None
    if _UNPORTABLE.search(path):
        return "is not plain ASCII" if not path.isascii() else 'holds one of < > : " | ? *'
    if len(path) > PATH_BYTES or path.count("/") >= PATH_LEVELS:
        return f"is longer than {PATH_BYTES} bytes or deeper than {PATH_LEVELS} levels"
    for segment in path.split("/"):
        if segment.endswith((".", " ")) and segment not in (".", ".."):
            return "ends with a dot or a space"
        if segment.split(".")[0].lower() in WINDOWS_DEVICES:
            return "is reserved on Windows"
    return None


RULES: tuple[Rule, ...] = (
    nested_skill,
    irregular_entry,
    unsafe_path,
    unportable_path,
    case_twins,
    many_files,
    unreadable_file,
    compiled_python,
    start_up_file,
    root_conftest,
    native_binary,
    shadowing_script,
)
