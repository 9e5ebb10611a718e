"""A system-call filter: no sockets, no new processes, no reaching into other processes, no administration.

Where programs may be started, they stay in the worker's process group, so that nothing outlives it.

Source: Linux ``Documentation/userspace-api/seccomp_filter.rst``. The program is classic BPF, built here word by word.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

NAME = "seccomp"

_PR_GET_SECCOMP, _PR_SET_SECCOMP, _MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 21, 22, 2, 38
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF: ld abs, jeq, jge, jset, ret
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_X32 = 0x40000000  # the second table of x86-64
_CLONE_THREAD = 0x00010000

_COLUMN = {"x86_64": 0, "aarch64": 1}
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name: number on (x86_64, aarch64); None where the architecture has no such call
_NETWORK = {"socket": (41, 198), "io_uring_setup": (425, 425)}
_PROCESSES = {"fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281)}
_CLONE = {"clone": (56, 220)}
_CLONE3 = {"clone3": (435, 435)}
_OWN_PROCESS_ONLY = {  # the first argument must be 0 or this process
    "kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261), "sched_setaffinity": (203, 122),
}  # fmt: skip
_NEVER = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "chroot": (161, 51), "delete_module": (176, 106),
    "finit_module": (313, 273), "fsopen": (430, 430), "init_module": (175, 105), "ioprio_set": (251, 30),
    "kcmp": (312, 272), "kexec_file_load": (320, 294), "kexec_load": (246, 104), "keyctl": (250, 219),
    "migrate_pages": (256, 238), "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "move_pages": (279, 239), "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241),
    "personality": (135, 92), "pidfd_getfd": (438, 438), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60),
    "reboot": (169, 142), "request_key": (249, 218), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "sched_setattr": (314, 274), "sched_setparam": (142, 118), "sched_setscheduler": (144, 119),
    "setns": (308, 268), "setpgid": (109, 154), "setpriority": (141, 140), "setsid": (112, 157),
    "swapoff": (168, 225), "swapon": (167, 224), "tkill": (200, 130),
    "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282),
}  # fmt: skip


def available() -> bool:
    """Does this kernel have filters, and do we know this machine's system calls?"""
    if sys.platform != "linux" or platform.machine() not in _COLUMN:
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) >= 0)


def restrict(*, network: bool, processes: bool) -> None:
    """Filter the system calls of this thread and of all that it starts, for good.

    Args:
        network: may sockets be made?
        processes: may programs be started?

    Raises:
        OSError: the kernel refused.
    """
    machine = platform.machine()
    program = _program(machine, os.getpid(), network=network, processes=processes)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, header) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _program(machine: str, process: int, *, network: bool, processes: bool) -> bytes:
    column = _COLUMN[machine]
    refuse = _instruction(_RETURN, _ERRNO | _EPERM)
    load_number = _instruction(_LOAD, _NUMBER_AT)
    load_argument = _instruction(_LOAD, _FIRST_ARGUMENT_AT)
    allow = _instruction(_RETURN, _ALLOW)
    words = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        _instruction(_EQUAL, _ARCHITECTURE[machine], 1, 0),
        _instruction(_RETURN, _KILL),
        load_number,
    ]
    if machine == "x86_64":
        words += [_instruction(_AT_LEAST, _X32, 0, 1), refuse]
    refused = {**_NEVER, **({} if network else _NETWORK), **({} if processes else _PROCESSES)}
    for numbers in refused.values():
        if (number := numbers[column]) is not None:
            words += [_instruction(_EQUAL, number, 0, 1), refuse]
    for numbers in _OWN_PROCESS_ONLY.values():
        words += [
            _instruction(_EQUAL, numbers[column], 0, 5),
            load_argument,
            _instruction(_EQUAL, 0, 2, 0),
            _instruction(_EQUAL, process, 1, 0),
            refuse,
            allow,
        ]
    if not processes:
        words += [
            _instruction(_EQUAL, _CLONE["clone"][column], 0, 4),
            load_argument,
            _instruction(_ANY_BIT, _CLONE_THREAD, 1, 0),
            refuse,
            allow,
            # clone3 keeps its flags in memory, where a filter cannot look: without it, libc falls back to clone
            _instruction(_EQUAL, _CLONE3["clone3"][column], 0, 1),
            _instruction(_RETURN, _ERRNO | _ENOSYS),
        ]
    return b"".join([*words, allow])
