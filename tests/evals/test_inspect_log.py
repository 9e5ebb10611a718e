"""Logs of inspect_ai: our answers, verdicts and figures in its form; read by the real one where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from skillpm.evals.inspect_log import write_inspect_logs
from skillpm.model.evaluation import Evaluation
from skillpm.model.verdict import Verdict
from tests.scripted_policy import MakeArm, Server

WHEN = "2026-01-01T00:00:00+00:00"
READER = """
import json, sys
from inspect_ai.log import read_eval_log, read_eval_log_samples
log = read_eval_log(sys.argv[1])
short = read_eval_log(sys.argv[1], header_only=True)
rows = [
    [s.id, s.epoch, s.input, s.target, s.output.completion, s.scores["exact"].value if s.scores else None]
    for s in log.samples
]
print(json.dumps([log.status, short.eval.task, short.results.scores[0].metrics["accuracy"].value, rows]))
"""


def evaluation(server: Server, make_arm: MakeArm) -> Evaluation:
    arm = make_arm("base", [1, 2, 3])
    lost = arm.records[-1].model_copy(update={"verdict": Verdict.errored("out"), "exact": False})
    again = arm.records[0].model_copy(update={"repeat": 1})
    records = (arm.records[0], again, *arm.records[1:-1], lost)
    arm = arm.model_copy(update={"records": records, "settings": {"repeats": 2}})
    return server.assembled(arm)


def test_a_log_has_each_answer_once_and_the_same_bytes_again(server: Server, make_arm: MakeArm, tmp_path: Path) -> None:
    stored = evaluation(server, make_arm)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (path,), (again,) = (write_inspect_logs(stored, tmp_path / name, WHEN) for name in ("one", "two"))
    assert path.read_bytes() == again.read_bytes() and path.name == "01-base.eval"
    with zipfile.ZipFile(path) as log:
        samples = [json.loads(log.read(name)) for name in log.namelist() if name.startswith("samples/")]
        header = json.loads(log.read("header.json"))
    assert [sample["output"]["completion"] for sample in samples] == [r.completion for r in stored.arms[0].records]
    assert [sample["scores"].get("exact", {}).get("value") for sample in samples] == ["C"] * 4 + ["I"] * 8 + [None]
    assert header["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 4 / 12


@pytest.mark.slow
def test_the_real_inspect_ai_reads_it(server: Server, make_arm: MakeArm, tmp_path: Path) -> None:
    python = os.environ.get("SKILLPM_TEST_INSPECT_PYTHON")
    if python is None:
        pytest.skip("SKILLPM_TEST_INSPECT_PYTHON names no Python that has inspect-ai")
    stored = evaluation(server, make_arm)
    (path,) = write_inspect_logs(stored, tmp_path, WHEN)
    read = subprocess.run([python, "-c", READER, str(path)], capture_output=True, text=True, check=True)
    status, task, accuracy, rows = json.loads(read.stdout.splitlines()[-1])
    assert (status, task, accuracy, len(rows)) == ("success", "server", 4 / 12, 13)
    ours = sorted(
        [r.request, r.repeat + 1, r.completion, ("C" if r.exact else "I") if r.judged else None]
        for r in stored.arms[0].records
        if r.judged
    )
    assert ours == sorted([row[2], row[1], row[4], row[5]] for row in rows if row[5] is not None)
