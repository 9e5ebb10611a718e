"""``skillpm traces``: what was stored is shown, exported, redacted and removed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.agent.trace import Step, Trace, Traces
from tests.conftest import Project
from tests.shop import MakeProject


def call(path: str) -> dict[str, object]:
    return {"tool": "show", "args": {"path": path}}


def trace(identity: str, decision: str, path: str = "a", final: str | None = "a", code: int = 0) -> Trace:
    step = Step(
        answer=json.dumps(call(path)),
        call=call(path),
        decision=decision,
        final=None if final is None else call(final),
        argv=(("cat", final or path),),
        exit_codes=() if final is None else (code,),
        output="" if final is None else "on db01.internal\n",
    )
    when = f"2026-01-0{identity[-1]}T00:00:00+00:00"
    return Trace(id=identity, when=when, skill="demo", version="1", tree="0", model="m", request=f"show {identity}",
                 steps=(step,), outcome="done")  # fmt: skip


@pytest.fixture
def place(project: MakeProject) -> Project:
    made: Project = project({})
    traces = Traces(Path(made.environment["SKILLPM_HOME"]) / "data" / "traces")
    for item in (
        trace("t1", "yes"),
        trace("t2", "edit", "b", "a"),
        trace("t3", "no", final=None),
        trace("t4", "yes", code=1),
    ):
        traces.save(item)
    return made


def exported(place: Project, form: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in place.call("traces", "export", "--format", form).ok().out.splitlines()]


def test_what_a_person_decided_becomes_data(place: Project) -> None:
    assert [row["id"] for row in exported(place, "rows")] == ["t1", "t2"]
    (pair,) = exported(place, "preferences")
    assert pair["prompt"] == [{"role": "user", "content": "show t2"}]
    assert (json.loads(str(pair["chosen"])), json.loads(str(pair["rejected"]))) == (call("a"), call("b"))
    (negative,) = exported(place, "negatives")
    assert negative["reason"] == "a person refused it"
    messages = exported(place, "openai")[0]["messages"]
    assert isinstance(messages, list) and messages[1]["tool_calls"][0]["function"]["name"] == "show"
    assert messages[2] == {"role": "tool", "tool_call_id": "call_1", "content": "on db01.internal\n"}


def test_a_text_is_redacted_everywhere_and_the_other_traces_stay(place: Project) -> None:
    assert "replaced 1 place" in place.call("traces", "redact", "t1", "--text", "db01.internal").ok().err
    again = place.call("traces", "redact", "t1", "--text", "db01.internal", "--json").ok().document
    assert again == {"trace": "t1", "replaced": 0}
    assert "[redacted]" in place.call("traces", "show", "t1").ok().out
    assert "db01.internal" in place.call("traces", "show", "t2").ok().out


@given(
    text=st.sampled_from(("done", "e", "1", "0", "demo", "yes", "]", "[redacted]", "\\", '"', "masked", "t"))
    | st.text('ae1t"\\[]{}:\n\u00e9 ', min_size=1)
)
def test_any_text_is_redacted_and_the_rest_stays(text: str) -> None:
    plain = trace("t1", "yes", 'a "note" \\ \n \u00e9 1', 'a "note" \\ \n \u00e9 1')
    step = plain.steps[0].model_copy(update={"final": {"tool": "show", "args": {"path": [1, None, "yes"], "n": 10}}})
    with tempfile.TemporaryDirectory() as folder:
        traces = Traces(Path(folder))
        count = traces.redact(before := plain.model_copy(update={"steps": (step,)}), text)
        after = traces.find("latest")
    fixed = {"request", "system", "report", "steps"}
    assert after.model_dump(exclude=fixed) == before.model_dump(exclude=fixed)
    (now,), (then,) = after.steps, before.steps
    assert (now.decision, now.exit_codes, len(now.argv)) == (then.decision, then.exit_codes, len(then.argv))
    assert (now.call["tool"], now.final["tool"]) == ("show", "show")
    for left in (after.request, now.answer, now.output, *now.argv[0], now.final["args"]["path"][2]):
        assert text not in left.replace("[redacted]", "\0")
    assert (count > 0) == (after != before) and (
        count == 0 or after.gold() is None or "[redacted]" in now.output + now.answer
    )
    assert after.messages()


def test_traces_are_removed_by_name_by_age_and_all_at_once(place: Project) -> None:
    place.call("traces", "prune", "t1").ok()
    place.call("traces", "prune").fails(2, "name TRACEs")
    place.call("traces", "show", "t1").fails(2, "no trace begins with `t1`")
    place.call("traces", "show", "t").fails(2, "several traces begin")
    assert len(place.call("traces", "list", "--json").ok().document) == 3
    place.call("traces", "prune", "--older-than", "1").ok()
    assert "there is no trace yet" in place.call("traces", "list").ok().err
    place.call("traces", "show", "latest").fails(2, "there is no trace yet")


def test_latest_is_the_episode_that_began_last_whatever_it_is_called(place: Project) -> None:
    traces = Traces(Path(place.environment["SKILLPM_HOME"]) / "data" / "traces")
    for identity, when in (
        ("a-new-5", "2026-02-01T00:30:00+01:00"),
        ("z-imported-6", ""),
        ("b-7", "2026-01-31T23:00:00Z"),
    ):
        traces.save(trace(identity, "yes").model_copy(update={"when": when}))
    assert place.call("traces", "show", "latest", "--json").ok().document["id"] == "a-new-5"
    listed = [row["id"] for row in place.call("traces", "list", "--json").ok().document]
    assert listed == ["z-imported-6", "t1", "t2", "t3", "t4", "b-7", "a-new-5"]


def test_only_its_owner_can_read_a_trace(place: Project) -> None:
    files = list((Path(place.environment["SKILLPM_HOME"]) / "data" / "traces").iterdir())
    assert len(files) == 4 and {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_what_is_no_trace_is_told_in_words(place: Project) -> None:
    (Path(place.environment["SKILLPM_HOME"]) / "data/traces/t0.json").write_text('{"id": "t0"}')
    place.call("traces", "list").fails(2, "t0.json: not a trace: missing key `when`", "skillpm traces prune t0")
    place.call("traces", "prune", "--older-than", "9" * 12).fails(2, "`--older-than` must be a whole number from 0 to")
    place.call("traces", "prune", "t0").ok()
    assert len(place.call("traces", "list", "--json").ok().document) == 4
