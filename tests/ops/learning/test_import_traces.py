"""Sessions of other agents become traces, and those become rows: nothing is guessed, and no secret comes along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project
from tests.scripted_policy import CONTRACT, SKILL
from tests.shop import MakeProject

TOKEN = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1gI3kM5"  # of GitHub's form, of nobody


def claude(*rows: dict[str, Any]) -> str:
    common = {"sessionId": "s-1", "isSidechain": False, "cwd": "/work", "version": "2.1.0"}
    summary = {"type": "summary", "summary": "A day", "leafUuid": "x"}
    return "".join(json.dumps(row if row is summary else common | row) + "\n" for row in (summary, *rows))


def said(text: Any, **more: Any) -> dict[str, Any]:
    return {"type": "user", "message": {"role": "user", "content": text}, "timestamp": "2026-05-31T16:21:59Z", **more}


def used(name: str, arguments: dict[str, Any], identity: str = "t1") -> dict[str, Any]:
    part = {"type": "tool_use", "id": identity, "name": name, "input": arguments}
    return {"type": "assistant", "message": {"role": "assistant", "model": "claude-x", "content": [part]}}


def bash(arguments: dict[str, Any], identity: str = "t1") -> dict[str, Any]:
    return used("Bash", arguments, identity)


def returned(text: str = "ok", identity: str = "t1", **more: Any) -> dict[str, Any]:
    return said([{"type": "tool_result", "tool_use_id": identity, "content": text, **more}])


def codex(*payloads: dict[str, Any]) -> str:
    rows = [{"timestamp": "2026-06-01T00:00:00Z", "type": "session_meta", "payload": {"id": "c-1", "cwd": "/work"}}]
    rows += [{"timestamp": "2026-06-01T00:00:01Z", "type": "response_item", "payload": item} for item in payloads]
    return "".join(json.dumps(row) + "\n" for row in rows)


def asked(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def ran(name: str, arguments: dict[str, Any], output: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    call = {"type": "function_call", "name": name, "arguments": json.dumps(arguments), "call_id": "c"}
    return call, {"type": "function_call_output", "call_id": "c", "output": output}


NATIVE = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "dev", "arguments": '{"port": 8123}'}}],
}
BASH = {"command": "server --port 8123"}
ONE = {"command": "server --port 1"}
EXIT_0 = json.dumps({"output": "up", "metadata": {"exit_code": 0, "duration_seconds": 1}})


@pytest.fixture
def place(project: MakeProject) -> Project:
    made: Project = project({"server/SKILL.md": SKILL, "server/contract.yaml": CONTRACT})
    return made


def imported(place: Project, text: str, name: str = "session.jsonl") -> dict[str, Any]:
    (place.root / name).write_text(text)
    document: dict[str, Any] = place.call("traces", "import", name, "--skill", "./server", "--json").ok().document
    return document


@pytest.mark.parametrize(
    "session",
    [
        claude(said("serve on 8123"), bash({"command": "server --port 8123", "description": "d"}), returned()),
        claude(said("serve on 8123"), used("mcp__tools__dev", {"port": 8123}), returned()),
        claude(
            said("<command-name>/clear</command-name>"), said("Caveat: The messages below", isMeta=True),
            said("serve on 8123"), used("Skill", {"skill": "server"}), bash({"command": "server --port=8123"}, "b"),
            returned("ok", "b"),
        ),
        codex(asked("<environment_context>\n  <cwd>/work</cwd>"), asked("serve on 8123"),
              *ran("shell", {"command": ["bash", "-lc", "server --port 8123"]}, EXIT_0)),
        codex(asked("serve on 8123"), *ran("exec_command", {"cmd": BASH["command"]}, "Process exited with code 0\nup")),
        codex(asked("serve on 8123"), *ran("dev", {"port": 8123}, "started")),
        codex(
            asked("serve on 8123"),
            {"type": "local_shell_call", "call_id": "c", "action": {"command": BASH["command"].split()}},
            {"type": "function_call_output", "call_id": "c", "output": EXIT_0},
        ),
        claude(
            said([{"type": "text", "text": "<ide_opened_file>a.py is open</ide_opened_file>"},
                  {"type": "text", "text": "serve on 8123<system-reminder>be kind</system-reminder>"}]),
            bash(BASH), bash(BASH), returned(),  # one message, written again as it grew
        ),
        claude(said("This session is being continued from a previous conversation. Port 1."), said("serve on 8123"),
               used("mcp__my__tools__dev", {"port": 8123}), returned()),
        codex(asked("# Context from my IDE setup:\n## Open tabs:\n- a.py\n## My request for Codex:\nserve on 8123"),
              *ran("dev", {"port": 8123}, "started")),
        codex(asked("<permissions instructions>ask</permissions instructions>"), asked("serve on 8123"),
              {"type": "tool_search_call", "call_id": "s"}, *ran("dev", {"port": 8123}, "started")),
        json.dumps({"messages": [{"role": "user", "content": "serve on 8123"}, NATIVE]}) + "\n",
        json.dumps({"input": "serve on 8123", "output": [
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "name": "dev", "arguments": '{"port": 8123}', "call_id": "c"},
        ]}) + "\n",
    ],
)  # fmt: skip
def test_a_session_gives_the_request_with_its_call(place: Project, session: str) -> None:
    document = imported(place, session)
    (identity,) = document["stored"]
    assert imported(place, session)["stored"] == [identity]  # read again, it is the same trace
    (row,) = map(json.loads, place.call("traces", "export", "--format", "rows").ok().out.splitlines())
    assert (row["request"], row["expected"]) == (
        "serve on 8123",
        {"tool": "dev", "args": {"port": 8123, "quiet": None}},
    )
    (shown,) = place.call("traces", "list", "--json").ok().document
    assert (shown["skill"], shown["outcome"]) == ("server", "done")


def test_elements_that_the_person_wrote_stay_in_a_request(place: Project) -> None:
    request = "serve on <user-port>8123</user-port>"
    imported(place, claude(said(request), bash(BASH), returned()))
    (row,) = map(json.loads, place.call("traces", "export", "--format", "rows").ok().out.splitlines())
    assert row["request"] == request


@pytest.mark.parametrize(
    "session",
    [
        claude(said("serve on 8123 \ud83d"), bash(BASH), returned()),
        claude(said("serve on 8123"), bash(BASH), returned("it is cut in \ud83d")),
        codex(asked("serve on 8123 \ud83d"), *ran("dev", {"port": 8123}, "started")),
    ],
)
def test_half_a_character_in_a_session_is_replaced(place: Project, session: str) -> None:
    """Programs cut long texts, also in the middle of an emoji."""
    assert len(imported(place, session)["stored"]) == 1
    (shown,) = place.call("traces", "list", "--json").ok().document
    assert "\ud83d" not in shown["request"]
    rows = place.call("traces", "export", "--format", "rows").ok().out.splitlines()
    assert [json.loads(row)["expected"]["args"]["port"] for row in rows] == [8123]
    taken = place.call("synth", "./server", "--from-traces", "session.jsonl", "--held-out", "0", "--rows", "1", "--yes")
    assert '"port": 8123' in taken.ok().out


@pytest.mark.parametrize(
    "row", [{"prompt": "\ud83d", "completion": "{}"}, {"prompt": "a", "completion": {"b": "\ud83d"}}]
)
def test_half_a_character_in_a_row_is_refused_with_its_line(place: Project, row: dict[str, Any]) -> None:
    (place.root / "rows.jsonl").write_text(json.dumps(row) + "\n")
    place.call("traces", "import", "rows.jsonl", "--skill", "./server").fails(2, "rows.jsonl:1: the row has a lone")


FAILED: dict[str, Any] = {"is_error": True}
NO_CALL = "calls no tool of the skills"


@pytest.mark.parametrize(
    ("session", "reason"),
    [
        (claude(said("serve"), bash(ONE), returned("no", **FAILED)), "its call failed"),
        (claude(said("serve"), bash(ONE)), "does not say whether its call worked"),
        (claude(said("serve"), used("Read", {"path": "a"}, "r"), bash(ONE), returned()), "calls other tools before"),
        (claude(said("serve"), bash(ONE), returned(), bash(BASH, "b"), returned("ok", "b")), "needs several calls"),
        (claude(said("hello"), said("again"), bash(ONE), returned()), "depends on earlier messages"),
        (claude(said("serve"), bash({"command": "server --port 1 | tee log"}), returned()), NO_CALL),
        (claude(said("serve"), bash({"command": "server --prt 1"}), returned()), NO_CALL),
        (claude(said("serve on 2"), bash(ONE), returned()), "says a number that its call does not"),
        (claude(said("what is a port?")), "calls no tool"),
        (
            claude(said([{"type": "image", "source": {}}, {"type": "text", "text": "serve"}]), bash(ONE), returned()),
            "shows a picture or a file beside its words",
        ),
        (claude(said("serve"), bash(ONE), {**returned(), "toolUseResult": {"interrupted": True}}), "its call failed"),
        (
            claude(said("serve"), bash(ONE), {**returned(), "toolUseResult": {"backgroundTaskId": "b1"}}),
            "does not say whether its call worked",
        ),
        (
            codex(
                asked("serve"),
                {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin", "call_id": "p"},
                *ran("shell", ONE, EXIT_0),
            ),
            "calls other tools before",
        ),
        (
            json.dumps({"input": "serve", "output": [{"type": "web_search_call", "id": "w"}]}) + "\n",
            "calls a tool of another kind",
        ),
        (codex(asked("serve"), *ran("shell", ONE, EXIT_0.replace('code": 0', 'code": 1'))), "its call failed"),
    ],
)
def test_what_does_not_show_a_right_answer_is_left_out(place: Project, session: str, reason: str) -> None:
    document = imported(place, session)
    assert document["stored"] == [] and reason in document["left_out"]


def test_what_was_taken_back_or_asked_by_another_agent_is_no_request(place: Project) -> None:
    rows = codex(asked("serve"), *ran("shell", ONE, EXIT_0)).splitlines()
    back = json.dumps({"type": "event_msg", "payload": {"type": "thread_rolled_back", "num_turns": 1}})
    meta = json.dumps({"type": "session_meta", "payload": {"id": "c-2", "source": {"subagent": "review"}}})
    assert imported(place, "\n".join([*rows, back]))["stored"] == []
    assert imported(place, "\n".join([meta, *rows[1:]]))["stored"] == []
    assert len(imported(place, "\n".join(rows))["stored"]) == 1


def test_a_session_that_is_resumed_in_a_new_file_gives_no_request_twice(place: Project) -> None:
    session = claude(said("serve on 8123"), bash(BASH), returned())
    first = imported(place, session)["stored"]
    assert imported(place, session.replace('"s-1"', '"s-2"'), "resumed.jsonl")["stored"] == first


def test_a_folder_may_hold_other_files(place: Project) -> None:
    sessions = place.root / "sessions"
    (sessions / "folder.jsonl").mkdir(parents=True)
    (sessions / "a.jsonl").write_bytes(b"\xff\xfe")
    (sessions / "b.jsonl").write_text(json.dumps({"type": "summary", "summary": "A day"}) + "\n")
    (sessions / "c.jsonl").write_text(claude(said("serve on 8123"), bash(BASH), returned()))
    (sessions / "d.jsonl").symlink_to("nowhere")
    document = place.call("traces", "import", "sessions", "--skill", "./server", "--json").ok().document
    assert len(document["stored"]) == 1
    assert document["left_out"] == {"files of a folder that are no session": 2}
    place.call("traces", "import", "sessions/a.jsonl", "--skill", "./server").fails(2, "not UTF-8")


def test_what_no_command_says_is_what_most_seeds_have(place: Project) -> None:
    lines = [
        {"request": "serve", "expected": {"tool": "dev", "args": {"port": 1, "wait": wait}}} for wait in (30, 30, 60)
    ]
    properties = "{port: {type: integer}, quiet: {type: boolean}, wait: {type: integer}}"
    (place.root / "server/seeds").mkdir()
    (place.root / "server/seeds/core.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = CONTRACT.replace("{port: {type: integer}, quiet: {type: boolean}}", properties)
    (place.root / "server/contract.yaml").write_text(text.replace("required: [port]", "required: [port, wait]"))
    assert len(imported(place, claude(said("serve on 1"), bash(ONE), returned()))["stored"]) == 1
    (row,) = map(json.loads, place.call("traces", "export", "--format", "rows").ok().out.splitlines())
    assert row["expected"]["args"] == {"port": 1, "quiet": None, "wait": 30}


def test_a_refused_call_is_a_negative(place: Project) -> None:
    words = "The user doesn't want to proceed with this tool use."
    imported(place, claude(said("serve"), bash(ONE), returned(words, **FAILED)))
    (row,) = map(json.loads, place.call("traces", "export", "--format", "negatives").ok().out.splitlines())
    assert json.loads(row["rejected"])["args"] == {"port": 1, "quiet": None}


def test_a_secret_is_masked_and_its_request_never_trains(place: Project) -> None:
    asked_with = said(f"serve on 8123 with {TOKEN}")
    imported(place, claude(asked_with, bash(BASH), returned(f"key {TOKEN}")))
    stored = [path.read_text() for path in Path(place.environment["SKILLPM_HOME"]).rglob("*.json")]
    assert stored and TOKEN not in "".join(stored)
    assert place.call("traces", "export", "--format", "rows").ok().out == ""


def test_rows_of_a_file_are_seeds_of_a_synthesis(place: Project) -> None:
    rows = [
        {"responses_create_params": {"input": f"serve on {n}"}, "expected_output": {"tool": "dev", "args": {"port": n}}}
        for n in (1, 2)
    ]
    bad = {"responses_create_params": {"input": "serve"}, "expected_output": {"tool": "dev", "args": {"port": "x"}}}
    secret = {"request": f"serve on 5 with {TOKEN}", "expected": {"tool": "dev", "args": {"port": 5}}}
    (place.root / "gym.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (*rows, bad, secret)))
    words = ("synth", "./server", "--from-traces", "gym.jsonl", "--rows", "2", "--held-out", "0")
    done = place.call(*words).ok()
    tasks = [json.loads(line) for line in done.out.splitlines()]
    assert [task["expected"]["args"] for task in tasks] == [{"port": n, "quiet": None} for n in (1, 2)]
    assert {task["origin"] for task in tasks} == {"trace"} and "left out: server: " in done.err
    assert "left out: a secret stands in it: 1\n" in done.err


def test_evals_json_is_a_task_set(place: Project) -> None:
    answers = {"serve on 3": '{"tool": "dev", "args": {"port": 3}}', "why?": "It explains."}
    rows = [
        {"id": number, "prompt": request, "expected_output": answer, "assertions": []}
        for number, (request, answer) in enumerate(answers.items(), 1)
    ]
    (place.root / "evals.json").write_text(json.dumps({"skill_name": "server", "evals": rows}))
    from skillpm.evals.tasks import read_task_rows

    read = [(line, row.id, row.request, row.expected) for line, row in read_task_rows(place.root / "evals.json")]
    assert read == [(1, 1, "serve on 3", {"tool": "dev", "args": {"port": 3}}), (2, 2, "why?", None)]


def test_a_file_that_is_not_there_or_shows_nothing_is_refused(place: Project) -> None:
    place.call("traces", "import", "nowhere.jsonl", "--skill", "./server").fails(2, "no file nowhere.jsonl")
    (place.root / "s.jsonl").write_text(claude(said("what is a port?")))
    place.call("synth", "./server", "--from-traces", "s.jsonl").fails(2, "shows no request that a skill answers")
