"""The fixture ``chat(answers) -> URL``: a server of chat completions in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

MakeChat = Callable[[Mapping[str, Any]], str]


@pytest.fixture(scope="session")
def _chat_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    answers = tmp_path_factory.mktemp("chat") / "answers.json"
    words = [sys.executable, str(Path(__file__).parent / "chat_server.py"), str(answers)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1", answers
        process.kill()


@pytest.fixture
def chat(_chat_process: tuple[str, Path]) -> MakeChat:
    """Tell the server what it answers from now on, and return its URL."""
    url, answers = _chat_process

    def make(table: Mapping[str, Any]) -> str:
        answers.write_text(json.dumps(table), encoding="utf-8")
        return url

    return make
