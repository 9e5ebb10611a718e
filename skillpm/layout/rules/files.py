"""SK4: the other files of the tree: what they are called, and what they are."""

from __future__ import annotations

import posixpath
import sys
from collections import defaultdict
from collections.abc import Iterator

from skillpm.formats.listed import listed
from skillpm.layout.contents import MAX_SIZE
from skillpm.layout.filenames import LIMITS, folded, starts_by_itself, unportable_name, unsafe_name
from skillpm.layout.rule import RuleSet
from skillpm.layout.signature import Content, office_parts
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem

MANY_FILES = 1000
RENAME = "rename it"

RULES = RuleSet()


@RULES.warning(
    "SK401",
    "another SKILL.md inside",
    why="Clients stop at the first SKILL.md or load both; authors rarely mean either.",
)
def nested_skill(subject: Subject) -> Iterator[Problem]:
    """A SKILL.md in a folder below."""
    if subject.skill_path:
        for path in subject.paths:
            if path.endswith("/SKILL.md"):
                yield Problem("a second SKILL.md inside the skill", path=path, hint="make it a skill of its own")


@RULES.install_error(
    "SK402",
    "not a regular file",
    why="Links out of the skill may lead to a host's own files, pipes may never end; none of them is packed.",
)
def irregular_entry(subject: Subject) -> Iterator[Problem]:
    """A link to anything but a file of the skill, a pipe, a socket, a device, or a folder that cannot be listed."""
    for path, kind in subject.tree.irregular().items():
        yield Problem(f"is a {kind}, not a regular file", path=path, hint="replace or remove it")


@RULES.install_error(
    "SK403",
    "name that is not safe",
    why="Control characters, backslashes, hidden characters or `..` in a name fool terminals and unpackers.",
)
def unsafe_path(subject: Subject) -> Iterator[Problem]:
    """Characters that no file of a skill needs."""
    for path in subject.paths:
        reason = unsafe_name(path)
        if reason:
            yield Problem(f"the name {reason}", path=path, hint=RENAME)


@RULES.install_error(
    "SK404",
    "name that does not travel",
    why="Some file system or archive cannot hold the name, so the skill would arrive without the file.",
)
def unportable_path(subject: Subject) -> Iterator[Problem]:
    """Refused by Windows, not in composed form (NFC), too long or too deep."""
    for path in subject.paths:
        reason = None if unsafe_name(path) else unportable_name(path)
        if reason:
            yield Problem(f"the name {reason}", path=path, hint=RENAME)


@RULES.install_error(
    "SK405",
    "names that are one name elsewhere",
    why="On a file system that ignores case or composition, one of them overwrites the other.",
)
def name_twins(subject: Subject) -> Iterator[Problem]:
    """Files or folders that are equal once composed (NFC) and case-folded; SKILL.md itself is another rule's."""
    if len({folded(path) for path in subject.paths}) == len(subject.paths) and not _twin_folders(subject.paths):
        return
    twins = defaultdict(set)
    for path in subject.paths:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            name = "/".join(parts[:depth])
            twins[folded(name)].add(name)
    for key, names in twins.items():
        first, *others = sorted(names)
        if others and key != "skill.md":
            yield Problem(
                f"has the name of `{first}` on file systems that ignore case or composition",
                path=others[0],
                hint=RENAME,
            )


@RULES.warning("SK406", "more than 1,000 files", why="Several clients refuse to download that many.")
def many_files(subject: Subject) -> Iterator[Problem]:
    """Regular files."""
    if len(subject.paths) > MANY_FILES:
        yield Problem(f"the skill has {len(subject.paths)} files", hint="leave out files that can be generated")


@RULES.install_error("SK407", "unreadable file", why="A file that cannot be read cannot be packed or reviewed.")
def unreadable_file(subject: Subject) -> Iterator[Problem]:
    """Not permitted, or gone while it was read."""
    for path, reason in subject.contents.unread.items():
        if path != subject.skill_path:
            yield Problem(reason, path=path, hint="make it readable, or remove it")


@RULES.install_error("SK409", "more than 2,000 files", why="An archive holds no more, and no known skill needs more.")
def too_many_files(subject: Subject) -> Iterator[Problem]:
    """Regular files, counted once."""
    if len(subject.paths) > LIMITS.files:
        message = f"the skill has {len(subject.paths):,} files, {LIMITS.files:,} are allowed"
        yield Problem(message, hint="leave out files that can be generated")


@RULES.install_error("SK408", "larger than 20 MiB", why="An archive holds no more, and the rest was not scanned.")
def too_large(subject: Subject) -> Iterator[Problem]:
    """All files together, in the order of their paths."""
    if subject.contents.beyond is not None:
        message = f"with this file the skill has more than {MAX_SIZE >> 20} MiB; it and the later ones were not scanned"
        yield Problem(message, path=subject.contents.beyond, hint="download large files when they are needed")


@RULES.install_error(
    "SK411", "compiled Python", why="Bytecode runs in place of the source beside it and cannot be reviewed."
)
def compiled_python(subject: Subject) -> Iterator[Problem]:
    """``__pycache__``, ``.pyc``, ``.pyo``, or its first bytes under any name; a packed folder leaves them out."""
    known = subject.contents.signatures
    for path in (*subject.paths, *subject.contents.inner):
        content = known[path].content if path in known else None
        if content is Content.BYTECODE or "__pycache__" in path.casefold().split("/"):
            yield Problem("compiled Python", path=path, hint="ship the source")


@RULES.install_error(
    "SK412",
    "file that Python runs at start-up",
    why="Python executes it before the first line of any script, in whatever environment it lands.",
)
def start_up_file(subject: Subject) -> Iterator[Problem]:
    """``.pth``, ``.start``, ``.egg-link``, ``sitecustomize.py``, ``usercustomize.py``."""
    for path in (*subject.paths, *subject.contents.inner):
        if starts_by_itself(path):
            yield Problem("Python runs this file at start-up", path=path, hint="remove it")


@RULES.warning(
    "SK413", "conftest.py at the root", why="pytest imports it in every project that has the skill below its tests."
)
def root_conftest(subject: Subject) -> Iterator[Problem]:
    """``conftest.py`` beside SKILL.md."""
    if "conftest.py" in subject.files:
        yield Problem("pytest imports this file by itself", path="conftest.py", hint="move it into tests/")


@RULES.install_error(
    "SK414", "native binary that is not declared", why="It cannot be reviewed, and it runs on one platform only."
)
def native_binary(subject: Subject) -> Iterator[Problem]:
    """By ending or by its first bytes; ``binaries`` in skill.yaml declares it."""
    declared = _declared(subject)
    for path, name in _of(subject, Content.NATIVE):
        if path not in declared:
            hint = "ship the source, or name the file under `binaries` in skill.yaml"
            yield Problem(f"native binary ({name})", path=path, hint=hint)


@RULES.warning(
    "SK415",
    "script that shadows the standard library",
    why="A script's own folder comes first on Python's path, so `import json` finds this file.",
)
def shadowing_script(subject: Subject) -> Iterator[Problem]:
    """A module's name in a folder that is not a package."""
    for path in subject.paths:
        folder, name = posixpath.split(path)
        if not name.endswith(".py") or name[:-3] not in sys.stdlib_module_names:
            continue
        if posixpath.join(folder, "__init__.py") not in subject.files:
            yield Problem(f"shadows the standard library's `{name[:-3]}`", path=path, hint=RENAME)


@RULES.warning("SK416", "native binary, as declared", why="The author declares it, but it cannot be reviewed.")
def declared_binary(subject: Subject) -> Iterator[Problem]:
    """Named under ``binaries`` in skill.yaml."""
    declared = _declared(subject)
    for path, name in _of(subject, Content.NATIVE):
        if path in declared:
            yield Problem(f"native binary ({name}), declared in skill.yaml", path=path, hint="check its origin")


@RULES.install_error(
    "SK417", "archive that cannot be scanned", why="Its content was not scanned, and a script can unpack and run it."
)
def inner_archive(subject: Subject) -> Iterator[Problem]:
    """An archive of another format or under another name, with a password, damaged, too large, or with a link.

    An office document counts if it holds more than a document's parts.
    """
    for path, reason in subject.contents.sealed.items():
        name = subject.contents.signatures[path].name
        yield Problem(f"archive ({name}) that {reason}", path=path, hint="put the files themselves there")
    for path, data in subject.contents.archives.items():
        parts = office_parts(data)
        if parts is not None and parts[1]:
            message = f"office document that holds {listed([f'`{name[:80]}`' for name in parts[1]], 4)}"
            yield Problem(message, path=path, hint="save it without macros and embedded files")


@RULES.warning("SK420", "archive inside", why="Its files were scanned, but a reader of the skill does not see them.")
def opened_archive(subject: Subject) -> Iterator[Problem]:
    """A zip, a tar, or a compressed file, whose files are looked at like all others."""
    for path, count in subject.contents.opened.items():
        name = subject.contents.signatures[path].name
        message = f"archive ({name}) of {count:,} file{'s' if count != 1 else ''}, which were scanned"
        yield Problem(message, path=path, hint="put the files themselves there")


@RULES.warning(
    "SK418",
    "office document",
    why="It is a zip whose text was not scanned; by their names, its members are parts of a document.",
)
def office_document(subject: Subject) -> Iterator[Problem]:
    """A zip with the parts of a document only."""
    for path, data in subject.contents.archives.items():
        parts = office_parts(data)
        if parts is not None and not parts[1]:
            yield Problem(f"office document of {parts[0]} parts", path=path, hint="look at it before you rely on it")


@RULES.warning("SK421", "Git LFS pointer", why="The skill has three lines of text where its content should be.")
def lfs_pointer(subject: Subject) -> Iterator[Problem]:
    """A file that Git LFS keeps on another server."""
    for path in subject.contents.pointers:
        hint = "commit the file itself, or have the skill download it"
        yield Problem("is a pointer of Git LFS, not the content of the file", path=path, hint=hint)


@RULES.install_error("SK419", "Python pickle", why="Loading a pickle runs whatever it says.")
def pickle_file(subject: Subject) -> Iterator[Problem]:
    """By ending or by its first bytes."""
    for path, name in _of(subject, Content.PICKLE):
        yield Problem(name, path=path, hint="store the data as JSON, CSV or safetensors")


def _of(subject: Subject, content: Content) -> Iterator[tuple[str, str]]:
    for path, known in subject.contents.signatures.items():
        if known.content is content:
            yield path, known.name


def _declared(subject: Subject) -> frozenset[str]:
    """Return the paths under ``binaries`` in a skill.yaml that is valid."""
    if not subject.is_package or not any(_of(subject, Content.NATIVE)):
        return frozenset()
    manifest = subject.package.manifest.value if subject.package else None
    return frozenset(manifest.binaries if manifest else ())


def _twin_folders(paths: list[str]) -> bool:
    """Are there two spellings of one folder, or a file with a folder's name?"""
    folders = {path[:end] for path in paths if (end := path.rfind("/")) > 0}
    names = {folded(folder) for folder in folders}
    return len(names) != len(folders) or any(folded(path) in names for path in paths)
