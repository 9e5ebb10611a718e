"""``skillpm doctor``: what this machine can do, without importing what it asks about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skillpm.runtime.sandbox import choose


def test_everything_is_told_with_ok_or_warn_and_a_hint_where_it_is_not_ok(project: Callable[..., Any]) -> None:
    here = project({".claude": {}})
    checks = {check["name"]: check for check in here.run("doctor", "--json").ok().document["checks"]}
    assert {
        "python",
        "platform",
        "cores",
        "memory",
        "torch",
        "trl",
        "peft",
        "accelerator",
        "pip",
        "environments of skills",
    } <= set(checks)
    assert all(check["hint"] for check in checks.values() if check["status"] == "warn")
    assert checks["sandbox of skill code"]["found"] == str(choose())
    assert "it does not stop" in checks["sandbox of skill code"]["hint"]
    assert checks["agents"]["found"] == "Claude Code"
    assert "python" in here.run("doctor").ok().out


def test_a_damaged_project_is_a_warning_and_no_error(project: Callable[..., Any]) -> None:
    here = project({"skillpm.lock": "not json"})
    checks = {check["name"]: check for check in here.run("doctor", "--json").ok().document["checks"]}
    assert checks["installed skills"]["status"] == "warn" and "skillpm.lock" in checks["installed skills"]["found"]


def test_torch_is_not_imported(project: Callable[..., Any]) -> None:
    here = project({"torch.py": "raise SystemExit('torch was imported')"})
    here.run("doctor", PYTHONPATH=f"{here.root}:{here.environment['PYTHONPATH']}").ok()
