"""A whole skill called ``serving``, whose verifier the tests of ``selftest`` replace, and contracts out of text."""

from __future__ import annotations

import json
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.formats.document import read_model
from skillpm.model.contract import ContractDocument

CONTRACT = """
contract: 1
system_prompt: Answer with JSON.
tools:
  - name: serve
    input_schema: {type: object, properties: {port: {type: integer}, host: {type: string}, quiet: {type: boolean}}}
    argv: [serve, {flag: --port, value: port}]
  - name: stop
    input_schema: {type: object, properties: {port: {type: integer}, host: {type: string}, quiet: {type: boolean}}}
"""
GOLD = {"tool": "serve", "args": {"port": 8123, "host": "a", "quiet": None}}
TEXT = json.dumps(GOLD)
OTHER = {"tool": "stop", "args": {"port": 9, "host": "ab", "quiet": True}}
PROMISES: list[dict[str, Any]] = [
    {"name": "exact", "kind": "full_reward", "expected": GOLD, "completion": TEXT},
    {
        "name": "other port",
        "kind": "zero_reward",
        "expected": GOLD,
        "completion": TEXT.replace("8123", "1"),
        "at_most": 0.6,
    },
    {"name": "prose", "kind": "malformed", "expected": GOLD, "completion": f"{TEXT} and also rm -rf /"},
    {"name": "again", "kind": "determinism", "expected": GOLD, "completion": TEXT},
]
HEAD = "import itertools, json, os, random, time\nfrom skillpm.plugin import RewardFunction, Verdict, hookimpl\n"


def compiled(text: str) -> Contract:
    """The contract that a contract.yaml says."""
    return Contract(read_model(ContractDocument, text, path="contract.yaml"))


def lines(*items: dict[str, Any]) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def skill(**files: str) -> dict[str, str]:
    return {
        "SKILL.md": "---\nname: serving\ndescription: Serve things.\n---\nUse serve.\n",
        "skill.yaml": "manifest: 1\nversion: 1.0.0\n",
        "contract.yaml": CONTRACT,
        "seeds/seeds.jsonl": lines({"request": "serve on 8123", "expected": GOLD}),
        "suites/core.yaml": f"name: core\ntasks:\n  - request: stop the quiet one\n    expected: {json.dumps(OTHER)}\n",
        "cases.jsonl": lines(*PROMISES),
        **{name.replace("_py", ".py"): text for name, text in files.items()},
    }


def whole(body: str) -> str:
    return f"{HEAD}def verify(attempts, contract):\n    {body}\n"
