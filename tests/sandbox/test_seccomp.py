"""The filter of system calls, run by an interpreter of its program: what each machine's kernel would decide."""

from __future__ import annotations

import errno
import struct

import pytest

from skillpm.sandbox.calls import ALWAYS, BY_ARGUMENT, UNKNOWN, UNSUPPORTED, WITH_NETWORK, WITH_PROGRAMS
from skillpm.sandbox.seccomp import program

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBERS = {**ALWAYS, **WITH_NETWORK, **WITH_PROGRAMS, **BY_ARGUMENT, **UNKNOWN, **UNSUPPORTED}
ALLOW, KILL = 0x7FFF0000, 0x80000000
OWN = 4711  # the worker's process


def decide(machine: str, number: int, *arguments: int, architecture: int | None = None, **permitted: bool) -> int:
    """Return what the filter returns: ALLOW, KILL, or the number of an error."""
    words = (*arguments, *[0] * 6)[:6]
    data = struct.pack("=IIQ6Q", number, architecture or ARCHITECTURES[machine], 0, *words)
    code = program(machine, OWN, **{"network": False, "processes": False, **permitted})
    accumulator, at, value = 0, 0, 0
    while True:
        operation, if_true, if_false, value = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x25:
                at += if_true if accumulator > value else if_false
            case 0x06:
                return int(value if value in (ALLOW, KILL) else value & 0xFFFF)


def of(machine: str, name: str) -> int | None:
    return NUMBERS[name][list(ARCHITECTURES).index(machine)]


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_what_python_needs_is_allowed(machine: str) -> None:
    for name in ALWAYS:
        if (number := of(machine, name)) is not None:
            assert decide(machine, number, 1 << 63, 1 << 63) == ALLOW, name


# name, arguments, permissions
Cases = list[tuple[str, tuple[int, ...], dict[str, bool]]]
HARMLESS: Cases = [
    ("clone", (0x3D0F00,), {}), ("clone", (17,), {"processes": True}), ("clone", (0x4111,), {"processes": True}),
    ("openat", (3, 0, 0), {}), ("openat", (3, 0, 0o101101), {}), ("openat", (3, 0, 0o20200000), {}),
    ("fcntl", (1, 4, 0o4000), {}), ("fcntl", (1, 1030, 3), {}), ("fcntl", (1, 6, 0), {}), ("ioctl", (1, 0x5421), {}),
    ("prctl", (15,), {}), ("kill", (OWN, 9), {}), ("tgkill", (OWN, 5, 9), {}), ("prlimit64", (0, 7), {}),
    ("sendto", (1, 2, 3, 0, 0), {}), ("sendto", (1, 2, 3, 0, 5), {"network": True}),
    ("socketpair", (1, 0o2000001, 0), {}), ("socket", (2, 0o2004001, 6), {"network": True}),
    ("socket", (10, 2, 0), {"network": True}), ("connect", (1,), {"network": True}),
    ("execve", (1,), {"processes": True}),
]  # fmt: skip
HARMFUL: Cases = [
    ("clone", (17,), {}), ("clone", (0x4111,), {}), ("clone", (0x10000011,), {"processes": True}),
    ("clone", (0x7E020011,), {"processes": True}), ("clone", (0x8011,), {"processes": True}),
    ("clone", (0x103D0F00,), {}), ("openat", (3, 0, 0o1000), {}), ("openat", (3, 0, 3), {}),
    ("openat", (3, 0, 0o1003), {}),
    ("fcntl", (1, 4, 0o20000), {}), ("fcntl", (1, 8, 1), {}), ("fcntl", (1, 10, 9), {}), ("fcntl", (1, 15, 1), {}),
    ("fcntl", (1, 1024), {}), ("fcntl", (1, 1026), {}), ("fcntl", (1, 1031, 1 << 20), {}), ("ioctl", (1, 0x5452), {}),
    ("ioctl", (0, 0x5412), {}), ("ioctl", (1, 0x8901), {}), ("prctl", (1, 0), {}), ("prctl", (38, 1), {}),
    ("kill", (0, 9), {}), ("kill", (0xFFFFFFFF, 9), {}), ("kill", (1, 0), {}), ("tgkill", (1, 1, 9), {}),
    ("prlimit64", (1, 7), {}), ("sched_setaffinity", (1, 8), {}), ("sendto", (1, 2, 3, 0, 5), {}),
    ("sendto", (1, 2, 3, 0, 1 << 32), {}), ("socketpair", (1, 2, 0), {}), ("socketpair", (1, 5, 0), {}),
    ("socketpair", (2, 1, 0), {}), ("socket", (2, 1, 0), {}), ("socket", (1, 1, 0), {"network": True}),
    ("socket", (16, 3, 0), {"network": True}), ("socket", (17, 3, 0), {"network": True}),
    ("socket", (2, 3, 1), {"network": True}), ("socket", (2, 2, 1), {"network": True}),
    ("socket", (40, 1, 0), {"network": True}), ("connect", (1,), {}), ("sendmsg", (1,), {}), ("execve", (1,), {}),
]  # fmt: skip


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_an_argument_decides_where_the_harm_lies_in_it(machine: str) -> None:
    for name, arguments, permitted in HARMLESS:
        assert decide(machine, of(machine, name) or 0, *arguments, **permitted) == ALLOW, (name, arguments)
    for name, arguments, permitted in HARMFUL:
        refused = decide(machine, of(machine, name) or 0, *arguments, **permitted)
        assert refused in (errno.EPERM, errno.EOPNOTSUPP), (name, arguments)


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_every_call_that_is_not_listed_is_refused_whatever_is_permitted(machine: str) -> None:
    column = list(ARCHITECTURES).index(machine)
    listed = {numbers[column] for numbers in {**ALWAYS, **WITH_NETWORK, **WITH_PROGRAMS, **BY_ARGUMENT}.values()}
    for number in set(range(600)) - listed:
        assert decide(machine, number, network=True, processes=True) in (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)
    assert decide(machine, 463, network=True) == errno.ENOSYS, "libraries do without a call of a later kernel"


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_no_two_calls_have_one_number(machine: str) -> None:
    column = list(ARCHITECTURES).index(machine)
    numbers = [numbers[column] for numbers in NUMBERS.values() if numbers[column] is not None]
    assert len(numbers) == len(set(numbers))


def test_a_call_of_another_architecture_ends_the_process() -> None:
    assert decide("x86_64", 1, architecture=0x40000003) == KILL
    assert decide("x86_64", 0x40000000 + 1) == errno.EPERM, "the second table of x86-64"
