"""Skills and wheels to install, made as in the peers' own measurements: the same for every run."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import zipfile
from pathlib import Path


def make_skills(root: Path, count: int) -> list[Path]:
    """Make skills of three files: 100 lines of instructions, a script of 20 lines, a reference of 200."""
    return [_make_skill(root / f"bench-skill-{number:04d}", number) for number in range(count)]


def _make_skill(folder: Path, number: int) -> Path:
    (folder / "scripts").mkdir(parents=True)
    (folder / "references").mkdir()
    head = (
        f"---\nname: {folder.name}\ndescription: Handles case {number}. Use when a benchmark runs.\nlicense: MIT\n---\n"
    )
    body = "".join(f"Step {line}: look at item {line * number % 97} and note what is odd.\n" for line in range(100))
    (folder / "SKILL.md").write_text(head + body)
    (folder / "scripts/run.py").write_text("".join(f"print({line}, {number})\n" for line in range(20)))
    lines = (f"Reference line {line} of skill {number}: value {line * 31 % 101}.\n" for line in range(200))
    (folder / "references/REFERENCE.md").write_text("".join(lines))
    return folder


def make_repository(root: Path) -> None:
    """Make a folder a git repository with one commit, which some managers ask of a source."""
    settings = ["-c", "user.name=bench", "-c", "user.email=bench@example.invalid", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "skills"]):
        subprocess.run(["git", *settings, *words], cwd=root, check=True)


def make_wheels(root: Path, count: int) -> None:
    """Make as many wheels of about a skill's size, and the index of them that pip and uv read (PEP 503)."""
    for number in range(count):
        name = f"bench_wheel_{number:04d}"
        folder = root / "simple" / name.replace("_", "-")
        folder.mkdir(parents=True)
        info = f"{name}-1.0.dist-info"
        members = {
            f"{name}/__init__.py": "".join(f"value_{line} = {line * number}\n" for line in range(320)),
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in members.items()]
        members[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
        file = folder / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as wheel:
            for path, text in members.items():
                wheel.writestr(path, text)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        (folder / "index.html").write_text(f'<!DOCTYPE html><a href="{file.name}#sha256={digest}">{file.name}</a>')


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
