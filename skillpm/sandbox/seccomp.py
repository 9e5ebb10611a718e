"""A system-call filter: what CPython needs to load and run a verifier is allowed, everything else is refused.

A list of what is allowed stays right when a kernel adds a call. Calls whose harm lies in an argument are allowed for
the harmless values of it: a filter sees numbers, but neither paths nor what a pointer points to.

Source: Linux ``Documentation/userspace-api/seccomp_filter.rst``. The program is classic BPF, built here word by word.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from skillpm.sandbox.calls import (
    ALWAYS,
    BY_ARGUMENT,
    NEVER,
    NEWEST,
    UNKNOWN,
    UNSUPPORTED,
    WITH_NETWORK,
    WITH_PROGRAMS,
    Calls,
)

NAME = "seccomp"

_PR_GET_SECCOMP, _PR_SET_SECCOMP, _MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 21, 22, 2, 38
_LOAD, _AND, _EQUAL, _ABOVE, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x06  # ld abs, and, jeq, jgt, ret
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000  # the second table of x86-64

_COLUMN = {"x86_64": 0, "aarch64": 1}
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_THREAD, _OUT_OF_PLACE = 0x00010000, 0x7E028000  # CLONE_THREAD; all of CLONE_NEW*, and CLONE_PARENT
_ACCESS_AND_TRUNCATE = 0o1003  # O_ACCMODE | O_TRUNC
_READ, _WRITE, _BOTH, _TRUNCATE = 0, 1, 2, 0o1000
_ASYNC = 0o20000
_F_SETFL = 4
_COMMANDS = (0, 1, 2, 3, 5, 6, 7, 36, 37, 38, 1030, 1032)  # F_DUPFD to F_GETFL, locks, F_DUPFD_CLOEXEC, F_GETPIPE_SZ
_REQUESTS = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, TCGETS2, window, FIONREAD to FIOCLEX
_OPTIONS = (15, 16, 23, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_SET_VMA
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STREAM, _DATAGRAM, _KIND = 1, 2, 0xF
_TCP, _UDP = 6, 17
_WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Check:
    """A test of one argument: are the bits of ``mask`` one of these values?"""

    argument: int
    values: tuple[int, ...]
    mask: int = _WORD
    upper: bool = False  # of the upper 32 bits


Rule = tuple[tuple[Check, ...], ...]
"""Ways in which a call is allowed; each is a row of checks that all must pass."""


def available() -> bool:
    """Does this kernel have filters, and do we know this machine's system calls?"""
    if sys.platform != "linux" or platform.machine() not in _COLUMN:
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) >= 0)


def restrict(*, network: bool, processes: bool) -> None:
    """Filter the system calls of this thread and of all that it starts, for good.

    Raises:
        OSError: the kernel refused.
    """
    _install(program(platform.machine(), os.getpid(), network=network, processes=processes))


def forbid(*, network: bool) -> None:
    """Refuse the system calls that no tool needs, of this thread and of all that it starts, for good.

    Without the network, sockets of this machine (Unix, netlink) stay: tools that describe the machine ask its services
    and its kernel.

    Raises:
        OSError: the kernel refused.
    """
    _install(tool_program(platform.machine(), network=network))


def tool_program(machine: str, *, network: bool) -> bytes:
    """Return the program of the filter for a tool: what is not refused is allowed."""
    column = _COLUMN[machine]
    rules: dict[str, Rule] = {"clone": ((Check(0, (0,), _OUT_OF_PLACE),),)}
    if not network:
        rules["socket"] = ((Check(0, (_UNIX, _NETLINK)),),)
    words = [*_head(machine), *_each(NEVER, column, _refuse(errno.EPERM))]
    words += _each({name: UNKNOWN[name] for name in ("clone3", "io_uring_setup")}, column, _refuse(errno.ENOSYS))
    for name, rule in rules.items():
        if (number := BY_ARGUMENT[name][column]) is not None:
            block = _block(rule, errno.EPERM)
            words += [_instruction(_EQUAL, number, 0, len(block)), *block]
    return b"".join([*words, _instruction(_RETURN, _ALLOW)])


def _install(code: bytes) -> None:
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, header) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def program(machine: str, process: int, *, network: bool, processes: bool) -> bytes:
    """Return the filter's program for a machine and a process.

    Order: the architecture, then calls without conditions (the kernel remembers their answer, so order costs nothing),
    then calls by argument. Only this last part reads arguments, and each block ends with a return.
    """
    column = _COLUMN[machine]
    allowed = {**ALWAYS, **(WITH_NETWORK if network else {}), **(WITH_PROGRAMS if processes else {})}
    rules = {name: rule for name, rule in _rules(process, network, processes).items() if name not in allowed}
    words = _head(machine)
    words += _each(allowed, column, _instruction(_RETURN, _ALLOW))
    words += _each(UNKNOWN, column, _refuse(errno.ENOSYS))
    words += _each(UNSUPPORTED, column, _refuse(errno.EOPNOTSUPP))
    words += [_instruction(_ABOVE, NEWEST, 0, 1), _refuse(errno.ENOSYS)]
    for name, rule in rules.items():
        if (number := BY_ARGUMENT[name][column]) is not None:
            block = _block(rule, errno.EOPNOTSUPP if name == "ioctl" else errno.EPERM)
            words += [_instruction(_EQUAL, number, 0, len(block)), *block]
    return b"".join([*words, _refuse(errno.EPERM)])


def _head(machine: str) -> list[bytes]:
    """Return the instructions that refuse another architecture and load the number of the call."""
    words = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        _instruction(_EQUAL, _ARCHITECTURE[machine], 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":
        words += [_instruction(_ABOVE, _X32 - 1, 0, 1), _refuse(errno.EPERM)]
    return words


def _rules(process: int, network: bool, processes: bool) -> Mapping[str, Rule]:
    own = (Check(0, (0, process)),)
    thread = (Check(0, (_THREAD,), _THREAD | _OUT_OF_PLACE),)
    access = (_READ, _WRITE, _BOTH, _WRITE | _TRUNCATE, _BOTH | _TRUNCATE)  # O_RDONLY | O_TRUNC empties a file unseen
    internet = (Check(0, (_INET, _INET6)), Check(1, (_STREAM, _DATAGRAM), _KIND), Check(2, (0, _TCP, _UDP)))
    pair = (Check(0, (_UNIX,)), Check(1, (_STREAM,), _KIND), Check(2, (0,)))  # a datagram socket could send elsewhere
    return {
        "clone": ((Check(0, (0,), _OUT_OF_PLACE),),) if processes else (thread,),
        "open": ((Check(1, access, _ACCESS_AND_TRUNCATE),),),
        "openat": ((Check(2, access, _ACCESS_AND_TRUNCATE),),),
        "fcntl": ((Check(1, _COMMANDS),), (Check(1, (_F_SETFL,)), Check(2, (0,), _ASYNC))),
        "ioctl": ((Check(1, _REQUESTS),),),
        "prctl": ((Check(0, _OPTIONS),),),
        "kill": ((Check(0, (process,)),),),  # 0 would be the process group
        "tgkill": ((Check(0, (process,)),),),
        "prlimit64": (own,),
        "sched_setaffinity": (own,),
        "sendto": ((Check(4, (0,)), Check(4, (0,), upper=True)),),  # without an address
        "socketpair": (pair,),
        "socket": (internet,) if network else (),
    }


def _each(calls: Calls, column: int, then: bytes) -> Iterable[bytes]:
    for numbers in calls.values():
        if (number := numbers[column]) is not None:
            yield from (_instruction(_EQUAL, number, 0, 1), then)


def _block(rule: Rule, otherwise: int) -> list[bytes]:
    """Return the instructions that allow a call in one of the ways of a rule, and else refuse it."""
    block: list[bytes] = []
    for way in rule:
        checks: list[bytes] = []
        for check in reversed(way):
            rest = len(checks) + 1  # what follows this check, and the return
            load = _instruction(_LOAD, _ARGUMENTS_AT + 8 * check.argument + 4 * check.upper)
            mask = [] if check.mask == _WORD else [_instruction(_AND, check.mask)]
            tests = [
                _instruction(_EQUAL, value, len(check.values) - 1 - index, 0)
                for index, value in enumerate(check.values)
            ]
            # the last test alone knows that none was equal
            tests[-1] = _instruction(_EQUAL, check.values[-1], 0, rest)
            checks = [load, *mask, *tests, *checks]
        block += [*checks, _instruction(_RETURN, _ALLOW)]
    return [*block, _refuse(otherwise)]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _refuse(number: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | number)
