"""pip in a process of its own: it starts no other process, and writes into one folder.

A wheel is unpacked, and runs nothing. A source distribution or a repository would run its build or git, and both need
another process. An audit hook refuses to start one, and so no code but pip's ever runs here. Where the kernel has
Landlock, it refuses programs too, hides the person's files and keeps all writing in the folder.
"""

from __future__ import annotations

import ipaddress
import json
import runpy
import sys
from pathlib import Path
from typing import Any

from skillpm.sandbox import landlock

_STARTS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn"})


def main(arguments: list[str]) -> None:
    """Run pip as the JSON object of the first argument says: ``words, path, folder, read, network``.

    The second argument is the folder that skillpm is imported from; pip does not look into it.

    ``path`` is where pip is imported from, and ``read`` are the files that it may read beside ``folder``. If ``folder``
    is null, no file is hidden.
    """
    order: dict[str, Any] = json.loads(arguments[0])
    sys.addaudithook(_refuse_processes)
    if not order["network"]:
        sys.addaudithook(_refuse_connections)
    if order["folder"] is not None:
        _confine(Path(order["folder"]), [Path(path) for path in order["read"]], order["network"])
    sys.path[:] = [entry for entry in sys.path if entry != arguments[1]] + [order["path"]]
    sys.argv = ["pip", *order["words"]]
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


def _confine(folder: Path, read: list[Path], network: bool) -> None:
    if version := landlock.abi_version():
        grants = landlock.Grants(read=read, write=[folder], execute=[], network=network)
        landlock.restrict(grants, version)


def _refuse_processes(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _STARTS:
        raise PermissionError("no program may start here, since only wheels are installed")
    if event == "socket.connect" and _is_link_local(arguments[1]):  # the metadata service of a cloud machine
        raise PermissionError("a link-local address is not an index")


def _refuse_connections(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise PermissionError("offline: no connection is opened")


def _is_link_local(address: Any) -> bool:
    try:
        place = ipaddress.ip_address(str(address[0]).partition("%")[0])
    except (ValueError, TypeError, IndexError):
        return False
    mapped = getattr(place, "ipv4_mapped", None)
    return place.is_link_local or (mapped is not None and mapped.is_link_local)
