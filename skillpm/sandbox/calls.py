"""The system calls that a worker needs, by what they are for, with their numbers on x86-64 and ARM64.

Measured with ``strace`` over CPython 3.11 with its standard library, numpy and torch, and completed by the calls that
the C library takes in their place on other kernels and machines. What is not listed is refused.

Source: ``asm/unistd_64.h`` and ``asm-generic/unistd.h`` of Linux 6.1.
"""

from __future__ import annotations

Calls = dict[str, tuple[int | None, int | None]]
"""Name: number on (x86-64, ARM64); None if the architecture has no such call."""

MEMORY_AND_THREADS: Calls = {
    "read": (0, 63), "write": (1, 64), "futex": (202, 98), "arch_prctl": (158, None), "brk": (12, 214),
    "exit": (60, 93), "exit_group": (231, 94), "get_mempolicy": (239, 236), "getcpu": (309, 168),
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "madvise": (28, 233), "membarrier": (324, 283),
    "mmap": (9, 222), "mprotect": (10, 226), "mremap": (25, 216), "msync": (26, 227), "munmap": (11, 215),
    "restart_syscall": (219, 128), "rseq": (334, 293), "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_yield": (24, 124), "set_robust_list": (273, 99),
    "set_tid_address": (218, 96),
}  # fmt: skip
SIGNALS_AND_TIME: Calls = {
    "alarm": (37, None), "clock_getres": (229, 114), "clock_gettime": (228, 113), "clock_nanosleep": (230, 115),
    "getitimer": (36, 102), "gettimeofday": (96, 169), "nanosleep": (35, 101), "pause": (34, None),
    "rt_sigaction": (13, 134), "rt_sigpending": (127, 136), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "rt_sigsuspend": (130, 133), "rt_sigtimedwait": (128, 137), "setitimer": (38, 103), "sigaltstack": (131, 132),
    "signalfd4": (289, 74), "time": (201, None), "timerfd_create": (283, 85), "timerfd_gettime": (287, 87),
    "timerfd_settime": (286, 86), "times": (100, 153),
}  # fmt: skip
DESCRIPTORS: Calls = {
    "close": (3, 57), "close_range": (436, 436), "copy_file_range": (326, 285), "dup": (32, 23), "dup2": (33, None),
    "dup3": (292, 24), "epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_pwait": (281, 22), "epoll_wait": (232, None), "eventfd2": (290, 19), "fadvise64": (221, 223),
    "fchdir": (81, 50), "fdatasync": (75, 83), "flock": (73, 32), "fstat": (5, 80), "fstatfs": (138, 44),
    "fsync": (74, 82), "ftruncate": (77, 46), "getdents64": (217, 61), "lseek": (8, 62), "pipe": (22, None),
    "pipe2": (293, 59), "poll": (7, None), "ppoll": (271, 73), "pread64": (17, 67), "preadv": (295, 69),
    "pselect6": (270, 72), "pwrite64": (18, 68), "pwritev": (296, 70), "readv": (19, 65), "select": (23, None),
    "sendfile": (40, 71), "writev": (20, 66),
}  # fmt: skip
PATHS: Calls = {  # Landlock decides about each, but for those that only look (stat, access, readlink, chdir)
    "access": (21, None), "chdir": (80, 49), "faccessat": (269, 48), "faccessat2": (439, 439), "getcwd": (79, 17),
    "link": (86, None), "linkat": (265, 37), "lstat": (6, None), "mkdir": (83, None), "mkdirat": (258, 34),
    "newfstatat": (262, 79), "readlink": (89, None), "readlinkat": (267, 78), "rename": (82, None),
    "renameat": (264, 38), "renameat2": (316, 276), "rmdir": (84, None), "stat": (4, None), "statfs": (137, 43),
    "statx": (332, 291), "symlink": (88, None), "symlinkat": (266, 36), "umask": (95, 166), "unlink": (87, None),
    "unlinkat": (263, 35),
}  # fmt: skip
FACTS: Calls = {
    "capget": (125, 90), "getegid": (108, 177), "geteuid": (107, 175), "getgid": (104, 176), "getgroups": (115, 158),
    "getrandom": (318, 278), "getresgid": (120, 150), "getresuid": (118, 148), "getrlimit": (97, 163),
    "getrusage": (98, 165), "getuid": (102, 174), "sysinfo": (99, 179), "uname": (63, 160), "wait4": (61, 260),
    "waitid": (247, 95),
}  # fmt: skip
PAIRS: Calls = {  # both ends of a pair of sockets are the worker's own; asyncio wakes itself through one
    "getpeername": (52, 205), "getsockname": (51, 204), "getsockopt": (55, 209), "recvfrom": (45, 207),
    "shutdown": (48, 210),
}  # fmt: skip
ALWAYS: Calls = {**MEMORY_AND_THREADS, **SIGNALS_AND_TIME, **DESCRIPTORS, **PATHS, **FACTS, **PAIRS}

WITH_NETWORK: Calls = {
    "accept": (43, 202), "accept4": (288, 242), "bind": (49, 200), "connect": (42, 203), "listen": (50, 201),
    "recvmmsg": (299, 243), "recvmsg": (47, 212), "sendmmsg": (307, 269), "sendmsg": (46, 211), "sendto": (44, 206),
    "setsockopt": (54, 208),
}  # fmt: skip
WITH_PROGRAMS: Calls = {
    "execve": (59, 221), "fork": (57, None), "getpgid": (121, 155), "getpgrp": (111, None), "getsid": (124, 156),
    "vfork": (58, None),
}  # fmt: skip

BY_ARGUMENT: Calls = {
    "clone": (56, 220), "fcntl": (72, 25), "ioctl": (16, 29), "kill": (62, 129), "open": (2, None),
    "openat": (257, 56), "prctl": (157, 167), "prlimit64": (302, 261), "sched_setaffinity": (203, 122),
    "sendto": (44, 206), "socket": (41, 198), "socketpair": (53, 199), "tgkill": (234, 131),
}  # fmt: skip

# These are refused as by a kernel or a file system that has no such call, so that libraries do without.
UNKNOWN: Calls = {
    "clone3": (435, 435), "io_uring_setup": (425, 425), "memfd_create": (319, 279), "openat2": (437, 437),
}  # fmt: skip
UNSUPPORTED: Calls = {
    "fallocate": (285, 47), "fgetxattr": (193, 10), "flistxattr": (196, 13), "getxattr": (191, 8),
    "lgetxattr": (192, 9), "listxattr": (194, 11), "llistxattr": (195, 12),
}  # fmt: skip
# A program that a person lets run may need any other call, so here the list is of what is refused.
NEVER: Calls = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "chroot": (161, 51), "delete_module": (176, 106),
    "finit_module": (313, 273), "fsopen": (430, 430), "init_module": (175, 105), "kexec_file_load": (320, 294),
    "kexec_load": (246, 104), "keyctl": (250, 219), "mount": (165, 40), "mount_setattr": (442, 442),
    "move_mount": (429, 429), "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438), "pivot_root": (155, 41), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "ptrace": (101, 117), "reboot": (169, 142), "request_key": (249, 218),
    "setns": (308, 268), "swapoff": (168, 225), "swapon": (167, 224), "umount2": (166, 39), "unshare": (272, 97),
    "userfaultfd": (323, 282),
}  # fmt: skip
NEWEST = 450  # higher numbers are calls that later kernels add
