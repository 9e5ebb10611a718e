"""What a run has trained, packed to be handed on, checked where it arrives, and merged into its base model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from skillpm.errors import IntegrityError, UsageError
from skillpm.model.adapter import TaughtSkill
from skillpm.ops.learning.adapter import check_adapter, pack_adapter
from skillpm.ops.learning.models import merge_run
from skillpm.train.hf.model import load_model
from skillpm.train.hf.policy import TransformersPolicy
from tests.ops.learning.test_train import Train, tiny_model, train_it  # noqa: F401 - fixtures
from tests.scripted_policy import Server


def test_an_adapter_is_packed_checked_and_merged(
    server: Server,
    train_it: Train,  # noqa: F811
    tiny_model: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """It names skills, data, recipe and figures, and no path of this machine."""
    run = train_it()
    packed = tmp_path / "packed"
    release = pack_adapter(run.folder, packed)
    assert release.skills == (TaughtSkill(name="server", version="1.0.0", tree=server.skill.tree),)
    assert release.data["train"] == run.manifest.files["data/train.jsonl"]
    assert [(figure.arm, figure.low is not None) for figure in release.evaluation] == [("sft", True)]
    for path in packed.iterdir():
        assert str(tiny_model.parent).encode() not in path.read_bytes(), path
        assert str(server.root).encode() not in path.read_bytes(), path
    assert check_adapter(server.context(), packed).release == release
    with pytest.raises(UsageError, match="exists already"):
        pack_adapter(run.folder, packed)

    merged = tmp_path / "merged"
    settings = server.context().settings
    merge_run(settings, run.folder, merged, "float32")
    policy = TransformersPolicy(tiny_model, packed, dtype="float32")
    both = zip(load_model(merged, "float32").state_dict().values(), policy._model.state_dict().values(), strict=True)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in both)

    (packed / "more.txt").write_text("more")
    with pytest.raises(IntegrityError, match="more.txt has changed: .* expected no such file"):  # noqa: RUF043
        check_adapter(server.context(), packed)
    (packed / "more.txt").unlink()
    (packed / "README.md").unlink()
    with pytest.raises(IntegrityError, match=r"README.md has changed: its SHA-256 is missing"):
        check_adapter(server.context(), packed)
    (run.folder / "adapter/README.md").write_text("another")
    with pytest.raises(IntegrityError, match=r"README.md has changed"):
        pack_adapter(run.folder, tmp_path / "again")
    with pytest.raises(UsageError, match="no packed adapter at"):
        check_adapter(server.context(), tmp_path)
