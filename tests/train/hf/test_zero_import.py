"""A DeepSpeed that cannot be used is said in one sentence, whatever is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from skillpm.errors import TrainingError
from skillpm.train.hf.zero import use_zero, uses_zero


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ImportError('no libaio')", "needs what is not installed: no libaio"),
        ("import os; os.environ['CUDA_HOME_OF_NOBODY']", "cannot be imported here: KeyError: 'CUDA_HOME_OF_NOBODY'"),
        ("raise RuntimeError('CUDA_HOME does not exist,\\n unable to compile')", "exist, unable to compile"),
        ("raise FileNotFoundError(2, 'No such file or directory', 'nvcc')", "No such file or directory: 'nvcc'"),
        ("", "needs what is not installed: No module named 'deepspeed.runtime'"),  # another package of that name
    ],
)
def test_a_broken_install_of_deepspeed_is_an_error_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    (tmp_path / "deepspeed").mkdir()
    (tmp_path / "deepspeed/__init__.py").write_text(code + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    for name in [name for name in sys.modules if name.partition(".")[0] == "deepspeed"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(TrainingError) as refused:
        use_zero({"stage": 2})
    sys.modules.pop("deepspeed", None)
    assert reason in refused.value.message and refused.value.hint and not uses_zero()
