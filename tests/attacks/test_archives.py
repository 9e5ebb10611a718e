"""Attacks 1 to 30: an archive that no honest tool makes is refused whole, whoever brings it."""

from __future__ import annotations

import gzip
import lzma
import subprocess
import sys
import zlib
from collections.abc import Callable

import pytest

from skillpm.layout.tree import MappingTree, tree_digest
from skillpm.storage.archive import build_archive
from tests.attacks.world import World, attacks, skill_text
from tests.tars import Edit, archive, gnu_long_name, kind, member, mode, pax, put

SKILL = member("SKILL.md", skill_text())


def named(name: str) -> bytes:
    """Return an archive with a good SKILL.md and one member of this name."""
    return archive(SKILL, member(name))


def odd(letter: bytes, link: bytes = b"", name: str = "a") -> bytes:
    return member(name, b"", kind(letter, link))


def both(one: Edit, other: Edit) -> Edit:
    def edit(header: bytearray) -> None:
        one(header)
        other(header)

    return edit


def prefixed(prefix: str, name: str) -> bytes:
    """Return a member whose path stands in ustar's two fields."""
    return member(name, edit=put(345, prefix.encode()))


def empty_files(count: int) -> bytes:
    """Return ``count`` members without content, each with its checksum."""
    template = bytearray(member("0" * 8, b""))
    bare = sum(template) - sum(template[148:156]) + 8 * 0x20 - sum(template[:8])
    parts = []
    for number in range(count):
        name = b"%08d" % number
        template[:8], template[148:156] = name, b"%06o\0 " % (bare + sum(name))
        parts.append(bytes(template))
    return archive(SKILL, *parts)


# the archive, and what the message says: the member where there is one, and the reason
ARCHIVES: dict[str, tuple[bytes, ...]] = {
    "1 above": (named("../x"), b"'../x'", b"`..` segment"),
    "2 absolute": (named("/etc/cron.d/x"), b"'/etc/cron.d/x'", b"not a relative path"),
    "3 up and up": (named("a/../../x"), b"'a/../../x'", b"`..` segment"),
    "4 link out": (archive(SKILL, odd(b"2", b"/etc"), member("a/x")), b"'a'", b"symbolic link"),
    "5 chain of links": (archive(SKILL, odd(b"2", b"b"), odd(b"2", b"..", "b")), b"'a'", b"symbolic link"),
    "6 hard link out": (archive(SKILL, odd(b"1", b"/etc/passwd")), b"'a'", b"hard link"),
    "6 hard link to a member": (archive(SKILL, odd(b"1", b"SKILL.md")), b"'a'", b"hard link"),
    "7 character device": (archive(SKILL, odd(b"3")), b"'a'", b"character device"),
    "7 block device": (archive(SKILL, odd(b"4")), b"'a'", b"block device"),
    "7 FIFO": (archive(SKILL, odd(b"6")), b"'a'", b"FIFO"),
    "7 unknown type": (archive(SKILL, odd(b"s")), b"'a'", b"unknown type"),
    "8 folder": (archive(SKILL, odd(b"5", name="a/")), b"'a/'", b"folder entry"),
    "8 folder of mode 000": (archive(SKILL, member("a/", b"", both(kind(b"5"), mode(b"0000000\0")))), b"a/"),
    "8 sticky folder": (archive(SKILL, member("a/", b"", both(kind(b"5"), mode(b"0001777\0")))), b"a/"),
    "9 set-uid": (archive(SKILL, member("run", edit=mode(b"0004755\0"))), b"'run'", b"mode 4755"),
    "9 set-gid": (archive(SKILL, member("run", edit=mode(b"0002755\0"))), b"'run'", b"mode 2755"),
    "9 sticky": (archive(SKILL, member("run", edit=mode(b"0001644\0"))), b"'run'", b"mode 1644"),
    "10 world-writable": (archive(SKILL, member("run", edit=mode(b"0000777\0"))), b"'run'", b"mode 777"),
    "11 PAX path": (pax(path="../evil"), b"PAX header"),
    "11 PAX link": (pax(linkpath="/etc/passwd"), b"PAX header"),
    "11 global PAX header": (archive(odd(b"g"), SKILL), b"PAX header"),
    "12 GNU long name": (gnu_long_name(), b"not in the ustar format"),
    "12 long name as ustar": (archive(odd(b"L", name="././@LongLink"), SKILL), b"GNU long name"),
    "12 long link": (archive(odd(b"K"), SKILL), b"GNU long link"),
    "12 sparse": (archive(SKILL, odd(b"S")), b"'a'", b"GNU sparse"),
    "12 base-256": (archive(SKILL, member("a", edit=put(124, b"\x80" + b"\0" * 10 + b"\1"))), b"'a'", b"not octal"),
    "13 PAX size": (pax(size="1000"), b"PAX header"),
    "14 checksum": (archive(SKILL, member("a", edit=put(148, b"0000001\0"), seal=False)), b"'a'", b"wrong checksum"),
    "14 size not octal": (archive(SKILL, member("a", edit=put(124, b"00000000009\0"))), b"'a'", b"not octal"),
    "14 negative size": (archive(SKILL, member("a", edit=put(124, b"-0000000001\0"))), b"'a'", b"not octal"),
    "15 twice": (archive(SKILL, SKILL), b"'SKILL.md'", b"twice"),
    "16 case": (archive(SKILL, member("skill.md")), b"'skill.md'", b"twice"),
    "16 case of folders": (archive(SKILL, member("a/b"), member("A/B")), b"'A/B'", b"twice"),
    "17 not UTF-8": (archive(SKILL, member("a", edit=put(0, b"\xe4"))), b"not UTF-8"),
    "17 NFC and NFD": (archive(SKILL, member("caf\u00e9.md"), member("cafe\u0301.md")), b".md'", b"composed form"),
    "18 file as folder": (archive(SKILL, member("a"), member("a/b")), b"'a/b'", b"file and as a folder"),
    "18 folder as file": (archive(SKILL, member("a/b"), member("A")), b"'A'", b"file and as a folder"),
    "19 NUL": (archive(SKILL, member("a", edit=put(2, b"b"))), b"'a'", b"after the end of its name"),
    "19 line break": (named("a\nb"), b"'a\\nb'", b"control characters"),
    "19 tab": (named("a\tb"), b"'a\\tb'", b"control characters"),
    "19 ESC": (named("a\x1b[2J"), b"'a\\x1b[2J'", b"control characters"),
    "19 bidi": (named("a\u202eb"), b"b'", b"control characters"),
    "19 zero-width": (named("a\u200bb"), b"b'", b"control characters"),
    "20 backslash": (named("a\\b"), b"'a\\\\b'", b"forward slashes"),
    "20 drive": (named("C:x"), b"'C:x'", b"not a relative path"),
    "20 device": (named("CON"), b"'CON'", b"Windows keeps"),
    "20 device with ending": (named("a/nul.txt"), b"'a/nul.txt'", b"Windows keeps"),
    "20 dot at the end": (named("a."), b"'a.'", b"ends with a dot or a space"),
    "20 space at the end": (named("a "), b"'a '", b"ends with a dot or a space"),
    "21 empty": (named(""), b"not a relative path"),
    "21 dot": (named("."), b"'.'", b"`.` or `..` segment"),
    "21 dot slash": (named("./x"), b"'./x'", b"`.` or `..` segment"),
    "21 two slashes": (named("//x"), b"'//x'", b"not a relative path"),
    "22 too long": (archive(SKILL, prefixed("/".join("d" * 50 for _ in range(3)), "e" * 95)), b"longer than 240 bytes"),
    "22 too deep": (named("a/b/c/d/e/f/g/h/i/j/k"), b"'a/b/c/d/e/f/g/h/i/j/k'", b"deeper than 10 levels"),
    "26 gzip cut off": (archive(SKILL)[:-9], b"is cut off"),
    "26 tar cut off": (archive(SKILL, end=b""), b"middle of a header"),
    "26 file cut off": (archive(SKILL, member("a", edit=put(124, b"00000100000\0"))), b"'a'", b"cut off"),
    "27 bytes after gzip": (archive(SKILL) + b"hidden", b"bytes after its end"),
    "27 second gzip member": (archive(SKILL) + archive(member("b")), b"bytes after its end"),
    "27 second tar": (archive(SKILL, end=b"\0" * 1024 + member("b")), b"bytes after its end"),
    "27 bytes after a file": (archive(SKILL, member("a", edit=put(1000, b"x"))), b"'a'", b"hidden bytes"),
    "28 zip": (b"PK\3\4" + b"\0" * 100, b"not gzip"),
    "28 xz": (lzma.compress(b"x" * 1024), b"not gzip"),
    "28 bare tar": (gzip.decompress(archive(SKILL)), b"not gzip"),
    "28 nothing": (b"", b"not gzip"),
}  # fmt: skip
NUMBERS = {attack.partition(" ")[0]: attack.partition(" ")[0] + " " for attack in ARCHIVES}


@pytest.mark.parametrize("number", attacks(NUMBERS))
def test_a_hostile_archive_is_refused(world: World, number: str) -> None:
    for data, *said in (case for attack, case in ARCHIVES.items() if attack.startswith(NUMBERS[number])):
        texts = tuple(text.decode() for text in said)
        world.offer("bad", data)
        world.place.write({"bad.tar.gz": data})
        world.refuses("install", "bad", "--registry", world.shop, code=4, says=texts)
        world.refuses("install", "./bad.tar.gz", code=4, says=texts)


MEBI = 1 << 20
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "zeros": (lambda: gzip.compress(bytes(256 * MEBI), 1), "unpacks to more than"),
    "one-large-file": (
        lambda: archive(SKILL, member("a", b"", put(124, b"%011o\0" % (256 * MEBI))), end=bytes(256 * MEBI + 1024)),
        "unpacks to more than",
    ),
    "many-files": (lambda: empty_files(100_000), "unpacks to more than"),
    "some-files": (lambda: empty_files(2_001), "exceeds the limit of files"),
    "comment": (lambda: pax(comment="c" * (64 * MEBI)), "unpacks to more than"),
    "smaller-comment": (lambda: pax(comment="c" * (16 * MEBI)), "PAX header"),
}
MEASURED = """
import sys
from skillpm.cli.main import run
shop, *names = sys.argv[1:]
for name in names:
    try:
        run(["install", name, "--registry", shop])
    except SystemExit as ended:
        print("exit", ended.code, file=sys.stderr)
status = open("/proc/self/status").read() if sys.platform == "linux" else "VmHWM: 0 kB"
print("peak", status.partition("VmHWM:")[2].split()[0], file=sys.stderr)
"""


@pytest.mark.attack(23, 24, 25)
def test_bombs_are_stopped_before_one_of_them_takes_200_mebibytes(world: World) -> None:
    for name, (make, _) in BOMBS.items():
        world.offer(name, make())
    with world.unchanged():
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, str(world.shop), *BOMBS],
            cwd=world.place.root,
            env=dict(world.place.environment),
            capture_output=True,
            text=True,
        )
    errors = done.stderr.split("exit 4\n")
    assert len(errors) == len(BOMBS) + 1 and "Traceback" not in done.stderr, done
    assert all(text in error for (_, text), error in zip(BOMBS.values(), errors, strict=False)), done
    assert int(errors[-1].removeprefix("peak ")) < 200 * 1024, "kB"


# the files beside skill.yaml, the code and what the message says
TREES: dict[str, tuple[dict[str, bytes], int, tuple[str, ...]]] = {
    "29 no SKILL.md": ({"README.md": b"x"}, 1, ("SKILL.md",)),
    "29 not UTF-8": ({"SKILL.md": skill_text().replace(b"Do", b"D\xff")}, 1, ("SKILL.md", "UTF-8")),
    "29 NUL": ({"SKILL.md": skill_text(body="Do\0it.\n")}, 1, ("SKILL.md:5", "NUL")),
    "29 two in case": ({"SKILL.md": skill_text(), "Skill.md": skill_text()}, 4, ("Skill.md",)),
}


@pytest.mark.parametrize("attack", attacks(TREES))
def test_what_is_no_skill_is_refused(world: World, attack: str) -> None:
    files, code, says = TREES[attack]
    data = archive(*(member(path, text) for path, text in files.items()))
    world.offer("bad", data, tree=tree_digest(MappingTree(files)), version="0")
    world.refuses("install", "bad", "--registry", world.shop, code=code, says=says)
    world.place.write({"bad.tar.gz": data, "bad": files})
    world.refuses("install", "./bad.tar.gz", code=code, says=says)
    outcome = world.place.call("install", "./bad")
    assert outcome.code in (1, 4) and says[0].partition(":")[0] in outcome.err, outcome


@pytest.mark.attack(29)
def test_a_byte_order_mark_is_told_and_to_the_letter_refused(world: World) -> None:
    """Clients read past it or see no skill: it may be installed, as others do, and is said."""
    world.place.write({"bad": {"SKILL.md": b"\xef\xbb\xbf" + skill_text()}})
    assert "SK005" in world.place.call("install", "./bad").ok().err
    world.place.call("validate", "./bad", "--level", "strict").fails(1)


GOOD = {"SKILL.md": skill_text(), "skill.yaml": b"manifest: 1\nversion: '1.0'\n", "a.md": b"counted"}
OTHER_TREES: dict[str, dict[str, bytes]] = {
    "30 one more": {**GOOD, "b.md": b"hidden"},
    "30 one less": {path: data for path, data in GOOD.items() if path != "a.md"},
    "30 other bytes": {**GOOD, "a.md": b"counteD"},
    "30 other name": {**{path: data for path, data in GOOD.items() if path != "a.md"}, "A.md": b"counted"},
}


@pytest.mark.parametrize("attack", attacks(OTHER_TREES))
def test_an_archive_holds_exactly_what_its_tree_digest_counts(world: World, attack: str) -> None:
    counted = tree_digest(MappingTree(GOOD))
    world.offer("bad", bytes(build_archive(MappingTree(OTHER_TREES[attack]))), tree=counted)
    world.refuses("install", "bad", "--registry", world.shop, code=4, says=("the content of bad 1.0", counted[:16]))


@pytest.mark.attack(30)
def test_an_archive_of_another_size_than_its_page_says_is_refused(world: World) -> None:
    world.offer("bad", bytes(build_archive(MappingTree(GOOD))), tree=tree_digest(MappingTree(GOOD)))
    digest = world.releases["bad"][0]["archive"]
    path = world.shop / f"archives/{digest[:2]}/{digest[2:]}.tar.gz"
    path.write_bytes(zlib.compress(b"other"))
    says = ("the archive of bad 1.0", "is too short: it has 13 of")
    world.refuses("install", "bad", "--registry", world.shop, code=4, says=says)


@pytest.mark.attack(17, 20)
@pytest.mark.parametrize("name", ["cafe\u0301.md", "nul.txt", "a.", "a:b"])
def test_a_name_that_cannot_travel_is_refused_where_it_is_built(world: World, name: str) -> None:
    world.place.write({"bad": {"SKILL.md": skill_text(), "skill.yaml": GOOD["skill.yaml"], name: "x"}})
    for arguments in (["install", "./bad"], ["pack", "bad"], ["publish", "bad", "--registry", world.shop]):
        world.refuses(*arguments, code=4, says=(ascii(name)[1:3], "rename or remove it"))
    assert "SK404" in world.place.call("validate", "./bad").out
