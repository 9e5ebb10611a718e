"""The texts of a skill's code are found, whatever else the compiler thinks of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.selftest.literals import _texts


@pytest.mark.parametrize("code", ["x is 5", "assert (x, 'a reason')", "'\\d'"])
def test_code_that_the_compiler_warns_of_has_texts_and_prints_nothing(
    code: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "verifier.py").write_text(f"x = 'a word ' 'of its own'\n{code}\n")
    assert "a word of its own" in _texts(tmp_path / "verifier.py")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("code", ["x =", "x = '\0'", "x = " + "(" * 5000])
def test_code_that_is_not_python_has_no_texts(code: str, tmp_path: Path) -> None:
    (tmp_path / "verifier.py").write_text(code)
    assert _texts(tmp_path / "verifier.py") == []


def test_the_texts_of_a_set_come_in_the_same_order_in_every_process(tmp_path: Path) -> None:
    words = [f"word {letter}" for letter in "hbgeacfd"]
    (tmp_path / "verifier.py").write_text(f"x = 7\nx in {{{', '.join(map(repr, words))}}}\n")
    assert [text for text in _texts(tmp_path / "verifier.py") if "word" in text] == sorted(words)
