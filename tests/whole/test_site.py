"""The pages as a site: built without network, every link checked, a page for each command and each document."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from skillpm.cli.main import COMMANDS
from skillpm.ops.machine.schema import DOCUMENTS
from tests.conftest import ROOT

LOADED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=["']?https?://""")


def test_the_navigation_names_every_page() -> None:
    named = set(re.findall(r"[\w-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert named == {path.name for path in (ROOT / "docs").glob("*.md")}


@pytest.mark.slow
def test_the_site_is_whole_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    pages = {
        path.relative_to(tmp_path).as_posix(): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")
    }
    named = {f"reference/command-{name.replace(' ', '-')}.html" for name in COMMANDS}
    named |= {f"reference/document-{name}.html" for name in DOCUMENTS}
    assert named <= pages.keys() and "index.html" in pages
    assert not [name for name, text in pages.items() if LOADED.search(re.sub(r'<link rel="canonical"[^>]*>', "", text))]
    assert "--max-new-tokens" in pages["reference/command-run.html"]
    assert "the kinds of a right answer" in pages["reference/document-contract.html"]
