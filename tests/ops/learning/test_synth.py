"""What people decided in use comes back as rows, behind every gate that other rows pass."""

from __future__ import annotations

import json

from skillpm.agent.trace import Step, Trace, Traces
from skillpm.ops.learning.synth import SynthesisRequest, synth
from tests.scripted_policy import Server


def trace(number: int, request: str, port: int | str, decision: str = "yes") -> Trace:
    call = {"tool": "dev", "args": {"port": port, "quiet": None}}
    step = Step(answer="", call=call, decision=decision, final=call, argv=(("server",),), exit_codes=(0,))
    return Trace(
        id=f"t{number}",
        when="2026-01-01",
        skill="server",
        version="1",
        tree="0",
        model="m",
        request=request,
        steps=(step,),
    )


def test_approved_answers_become_rows_and_nothing_of_a_suite_does(server: Server) -> None:
    context = server.context()
    traces = Traces(context.settings.traces)
    for item in (
        trace(1, "launch one on 99", 98),
        trace(2, "Launch one on  99", 99, "edit"),  # the later answer to the same request counts
        trace(3, server.request(3), 3),  # stands in the suite
        trace(4, "launch one on 77", 77, "no"),
        trace(5, "launch one on x", "x"),  # breaks the contract
        trace(6, "token [masked: a GitHub token]", 5),
    ):
        traces.save(item)
    made = synth(context, [server.skill], SynthesisRequest(5, 0, from_traces=True))
    rows, notes = made.train, made.profile.skills["server"].notes
    assert [f"a seed is left out: {server.request(3)!r} asks the same as task" in note for note in notes] == [True]
    assert [(row.request, row.expected["args"]["port"], row.origin) for row in rows] == [
        ("Launch one on  99", 99, "trace")
    ]
    assert not synth(context, [server.skill], SynthesisRequest(5, 0)).train


def test_few_rows_have_what_was_approved_before_the_seeds_of_the_skill(server: Server) -> None:
    (server.folder / "seeds").mkdir()
    ports = range(100, 120)
    seeds = [{"request": f"run it on {port}", "expected": {"tool": "dev", "args": {"port": port}}} for port in ports]
    (server.folder / "seeds/own.jsonl").write_text("".join(f"{json.dumps(seed)}\n" for seed in seeds))
    context = server.context()
    Traces(context.settings.traces).save(trace(1, "launch one on 98", 98))
    rows = synth(context, [server.skill], SynthesisRequest(3, 0, from_traces=True)).train
    assert sorted(row.origin for row in rows) == ["seed", "seed", "trace"]
