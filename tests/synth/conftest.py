"""Contributions of a small skill, made in memory, and a judge in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from skillpm.contract.contract import Contract
from skillpm.model.contract import ContractDocument
from skillpm.model.episode import Episode
from skillpm.model.skill import Skill
from skillpm.model.suite import Suite
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.task import Seed
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions

PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
TEXT = {"type": "string", "minLength": 1}
CONTRACT = {
    "contract": 1,
    "system_prompt": "Answer with one JSON object.",
    "tools": [
        {
            "name": "dev",
            "input_schema": {
                "type": "object",
                "properties": {"port": PORT, "tag": TEXT, "path": TEXT, "quiet": {"type": "boolean"}},
            },
        },
        {"name": "stop", "input_schema": {"type": "object", "properties": {"port": PORT}}},
    ],
}
SMALL = Contract(ContractDocument.model_validate(CONTRACT))


def given(
    document: dict[str, Any] | None,
    *,
    seeds: Sequence[Seed] = (),
    suites: Sequence[Suite] = (),
    name: str = "small",
    rules: Sequence[str] = (),
) -> Contributions:
    """Return what a skill contributes that has these rules of synthesis and the contract ``SMALL``."""
    synthesis = None if document is None else SynthesisDocument.model_validate({"synthesis": 1, **document})
    return Contributions(
        skill=Skill(name, "1", "0" * 64, Path("/nowhere")),
        contract=SMALL,
        prompt=SMALL.prompt,
        seeds=tuple(seeds),
        suites=tuple(suites),
        synthesis=synthesis,
        rules=tuple(rules),
    )


def judge(episodes: Sequence[Episode]) -> list[Judgement]:
    """Judge as a skill with a contract and no code is judged."""
    return [
        Judgement(verdict=SMALL.judge(episode.task.expected, episode.completion), rewards={}) for episode in episodes
    ]


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """A document with every kind of pool."""
    return {
        "frames": ["{request}", "Please {request}.", "Could you {request}?", "Now {request}."],
        "values": {
            "port": {"integers": [3000, 3400]},
            "wide": {"integers": [10_000, 60_000]},
            "shop": {"choice": ["shop", "acme/cart", "billing", "search", "router", "planner"]},
            "release": {"choice": ["v1", "2.0", "latest", "rc-3", "edge", "v9"]},
            "tag": {"template": "{shop}:{release}"},
            "path": {"choice": ["./a b", ".", "/srv/App", "x.y", "-z", "~", "a  b", "Q!"]},
        },
        "tasks": [
            {
                "name": "dev",
                "weight": 2,
                "tool": "dev",
                "draw": {
                    "port": {"from": "port", "probability": 0.6},
                    "tag": {"from": "tag", "probability": 0.5},
                    "quiet": {"from": [True], "probability": 0.3},
                },
                "args": {"port": "{port}", "tag": "{tag}", "quiet": "{quiet}"},
                "requests": ["start the server [*]", "bring it up [tag] [*]", "run [*], now", "serve [port] [*]"],
                "clauses": {
                    "port": ["on port {port}", "at {port}", "listening on {port}"],
                    "tag": ["as {tag}", "tagged {tag}"],
                    "quiet": ["without a browser", "quietly", "and open nothing"],
                },
                "constraints": [{"at_most_one": ["tag", "quiet"]}, {"at_least_one": ["port", "tag"]}],
            },
            {
                "name": "stop",
                "tool": "stop",
                "draw": {"port": {"from": "wide"}},
                "args": {"port": "{port}"},
                "requests": ["stop what listens on {port}", "end port {port}", "kill {port}", "shut {port} down"],
            },
            {
                "name": "path",
                "tool": "dev",
                "draw": {"path": {"from": "path"}},
                "args": {"path": "{path}"},
                "requests": ["{path} is to be served", "serve the folder {path}", "use {path} , then start"],
            },
        ],
    }
