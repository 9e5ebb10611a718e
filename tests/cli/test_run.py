"""``skillpm run``: the commands of a request, who lets them run, and what is kept of it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chat import MakeChat
from tests.cli.conftest import CONTRACT
from tests.conftest import Outcome, Project
from tests.shop import MakeProject
from tests.terminal import at_terminal

TOKEN = "skp_" + "Zk3x-9QmT_vB7nLw2RfYc8JhD5sGpA1eUoX4iKtM6bN"
ANSWERS = {
    "use 3": '{"tool": "dev", "args": {"port": 3}}',
    "make a file": '{"tool": "touch", "args": {"path": "made here"}}',
    "show": '{"tool": "show", "args": {"path": "note"}}',
    "call nobody": '{"tool": "rm", "args": {"port": 3}}',
    "talk": "Sure! I will do it.",
}
TOOLS = """\
  - name: touch
    description: Make an empty file.
    input_schema:
      type: object
      properties: {path: {type: string, description: The file to make.}}
      required: [path]
      additionalProperties: false
    argv: [touch, {value: path}]
  - name: show
    description: Print a file.
    input_schema: {type: object, properties: {path: {type: string}}, required: [path], additionalProperties: false}
    argv: [cat, {value: path}]
    read_only: true
  - name: plan
    input_schema: {type: object, properties: {}, additionalProperties: false}
"""
MANIFEST = "manifest: 1\nversion: 1.0.0\npermissions: {run: [touch, cat, server]}\n"
RULES = "approve: 1\nrules:\n  - {skill: server, tool: touch, arguments: {path: {pattern: '^made'}}}\n"


@pytest.fixture
def server(chat: MakeChat) -> tuple[str, ...]:
    return ("--model", f"{chat(ANSWERS)}#tiny", "./skills/server")


@pytest.fixture
def place(project: MakeProject) -> Project:
    return project(
        {
            "note": "a note\x1b[31m in red\n",
            "rules.yaml": RULES,
            "skills/server/SKILL.md": "---\nname: server\ndescription: Starts servers. For servers.\n---\nPorts.\n",
            "skills/server/skill.yaml": MANIFEST,
            "skills/server/contract.yaml": CONTRACT + TOOLS,
            "skills/text/SKILL.md": "---\nname: text\ndescription: Says things. For texts.\n---\nText.\n",
        }
    )


def ask(place: Project, *words: str) -> Outcome:
    return place.call("run", *words)


def type_at(place: Project, words: Sequence[str], *typed: str, columns: int = 80) -> tuple[int, str]:
    variables = {**os.environ, **place.environment}
    return at_terminal(["run", *words], typed, cwd=place.root, environment=variables, columns=columns)


MODEL = "--model"  # stands for the server and its model


def test_a_request_gives_command_lines_and_without_a_terminal_nothing_runs(
    place: Project, server: tuple[str, ...]
) -> None:
    done = ask(place, *server, "make a file").ok()
    assert done.out == "touch 'made here'\n" and "nothing was executed" in done.err
    assert not (place.root / "made here").exists()
    document = ask(place, *server, "use 3", "--json").ok().document
    assert (document["tool"], document["argv"], document["confirm"], document["executed"]) == (
        "dev",
        [["server", "--port", "3"]],
        "always",
        False,
    )


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ((MODEL, "./skills/server", "call nobody"), 1, "the answer is not a valid command: unknown tool 'rm'"),
        ((MODEL, "./skills/server", "talk"), 1, "the model wrote: Sure! I will do it."),
        ((MODEL, "./skills/server", "talk"), 1, "hint: let a model learn it: `skillpm train ./skills/server`"),
        ((MODEL, "./skills/server", " "), 2, "the request is empty"),
        ((MODEL, "./skills/server"), 2, "REQUEST is missing"),
        ((MODEL, "./skills/server", "use 3", "--run", "latest"), 2, "`--run` and `--model` exclude each other"),
        ((MODEL, "./skills/server", "use 3", "--dry-run", "--approve", "rules.yaml"), 2, "`--dry-run` runs nothing"),
        (("-m", "tiny", "./skills/server", "use 3", "--key-stdin"), 2, "`--key-stdin` is for a server"),
        ((MODEL, "./skills/server", "use 3", "--approve", "note"), 2, "note"),
        (("./skills/server", "use 3"), 2, "no run here has trained server"),
        (("./skills/server", "use 3", "--run", "latest"), 2, "no finished run"),
        (("./skills/server", "use 3", "--run", "nowhere"), 2, "no run folder `nowhere`"),
        (("-m", "./nowhere", "./skills/server", "use 3"), 2, "no model `./nowhere`"),
        ((MODEL, "./skills/text", "use 3"), 1, "text has no contract.yaml"),
        ((MODEL, "nobody", "use 3"), 2, "no skill `nobody`"),
    ],
)
def test_what_means_no_command_is_said_with_the_reason(
    place: Project, server: tuple[str, ...], words: tuple[str, ...], code: int, text: str
) -> None:
    done = ask(place, *(server[:2] if words[0] == MODEL else ()), *(word for word in words if word != MODEL))
    done.fails(code, text)
    assert done.out == ""


def test_without_a_terminal_only_the_rules_of_a_document_let_a_command_run(
    place: Project, server: tuple[str, ...]
) -> None:
    document = ask(place, *server, "make a file", "--approve", "rules.yaml", "--json").ok().document
    assert document["executed"] and document["steps"][0]["decision"] == "rule" and (place.root / "made here").exists()
    assert "rule 1: it is for `touch` of server" in ask(place, *server, "show", "--approve", "rules.yaml").ok().err
    log = place.call("audit", "list", "--json").ok().document
    assert [(entry["event"], entry["word"]) for entry in log] == [
        ("decision", "rule"), ("outcome", "rule"), ("decision", "nobody")
    ]  # fmt: skip
    assert place.call("audit", "verify").ok().out.strip() == log[-1]["digest"]
    shown = place.call("audit", "show", "2").ok().out
    assert "made here" in shown and "None" not in shown


def test_no_tool_reads_the_files_of_skillpm_and_no_token_is_printed_or_stored(place: Project, chat: MakeChat) -> None:
    home = Path(place.environment["SKILLPM_HOME"])
    kept = ("config/credentials.json", "data/keys/mine.key", "data/.server/state.db", "data/consents.json")
    for name in kept:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text('{"tokens": {"hidden": "hidden"}}', encoding="utf-8")
        (home / name).chmod(0o600)
    place.write({"rules.yaml": "approve: 1\nrules: [{skill: server, tool: show}]\n", "note": f"a {TOKEN} here\n"})
    answers = {path: json.dumps({"tool": "show", "args": {"path": path}}) for path in ("note", str(home / kept[0]))}
    for request in answers:
        words = ("--model", f"{chat(answers)}#tiny", "./skills/server", request, "--approve", "rules.yaml")
        done = ask(place, *words, *(["--json"] if request == "note" else []))
        assert TOKEN not in done.out + done.err and "hidden" not in done.out
        assert request != "note" or "[masked: a token of a skillpm registry] here" in done.out
    assert TOKEN not in "".join(path.read_text() for path in (home / "data/traces").iterdir())


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("{skill: server, tool: tuch}", "did you mean `touch`?"),
        ("{skill: server, tool: touch, arguments: {pth: {type: string}}}", "did you mean `path`?"),
        ("{skill: serve, tool: touch}", "they are for serve"),
        (
            "{skill: server, tool: touch, programs: [rm, /bin/touch]}",
            "`programs` names rm, /bin/touch, which skill.yaml",
        ),
        ("{skill: server, tool: touch, programs: [toch]}", "did you mean `touch`?"),
        ("{skill: server, tool: touch, programs: []}", "`programs` names nothing"),
        ("{skill: server, tool: touch, arguments: {path: false}}", "its condition for `path` is false"),
        ("{skill: server, tool: plan}", "`plan` of server has no command line"),
    ],
)
def test_a_rule_that_can_never_hold_is_refused(place: Project, server: tuple[str, ...], rule: str, text: str) -> None:
    place.write({"rules.yaml": f"approve: 1\nrules: [{rule}]\n"})
    ask(place, *server, "show", "--approve", "rules.yaml").fails(2, text)


def test_a_damaged_manifest_of_one_run_stops_no_other(place: Project) -> None:
    place.write({"runs/20261128-broken/manifest.json": "{"})
    done = ask(place, "./skills/server", "use 3").fails(
        2, "no run here has trained server", "skillpm train ./skills/server"
    )
    assert "warning: the run 20261128-broken is left out, its manifest is damaged" in done.err


def test_a_log_that_was_overwritten_is_told_before_a_run_and_refused_by_verify(
    place: Project, server: tuple[str, ...]
) -> None:
    assert "audit" not in ask(place, *server, "show").ok().err
    (Path(place.environment["SKILLPM_HOME"]) / "data/audit.jsonl").write_bytes(b"\xff\x00\xfe" * 99)
    assert "`skillpm audit verify`" in ask(place, *server, "show").ok().err
    place.call("audit", "verify").fails(4, "was changed")


def test_a_person_sees_what_would_run_and_what_each_argument_means(place: Project, server: tuple[str, ...]) -> None:
    typed = ("perhaps", "e", "touch other", "e", '{"path": "other"}', "y")
    code, shown = type_at(place, [*server, "make a file"], *typed, columns=40)
    assert code == 0 and (place.root / "other").exists() and not (place.root / "made here").exists()
    for text in ("touch: Make an empty file.", "path = made here", "The file to make.", "runs touch 'made here'",
                 "which it may change", "Answer with one of: yes", "arguments that change, such as {",
                 "Only the arguments can be changed", "runs touch other", "exit code 0"):  # fmt: skip
        assert text in " ".join(shown.split()), shown
    told = [line for line in shown.splitlines() if "Run it?" not in line and str(place.root.parent) not in line]
    assert [line for line in told if len(line) > 60] == []


def test_a_conversation_goes_on_until_ctrl_d_and_always_holds_for_a_tool_that_reads(
    place: Project, server: tuple[str, ...]
) -> None:
    code, shown = type_at(place, server, "show", "a", "show", "talk", "", "make a file", "n", "^D")
    assert code == 0 and shown.count("Run it?") == 2 and shown.count("a note\\x1b[31m in red") == 2
    assert "the answer is not a valid command" in shown and not (place.root / "made here").exists()
    rows = place.call("traces", "list", "--json").ok().document
    assert [row["outcome"] for row in rows] == ["done", "done", "invalid", "refused"]


def test_ctrl_c_at_a_prompt_runs_nothing_and_the_log_says_so(place: Project, server: tuple[str, ...]) -> None:
    code, _ = type_at(place, [*server, "make a file"], "e", "^C")
    assert code == 130 and not (place.root / "made here").exists()
    (entry,) = place.call("audit", "list", "--json").ok().document
    assert entry["word"] == "interrupted"


def test_the_end_of_the_input_at_a_question_is_no_answer_of_a_person(place: Project, server: tuple[str, ...]) -> None:
    code, shown = type_at(place, [*server, "make a file"], "^D")
    assert code == 0 and "nothing was executed" in shown and not (place.root / "made here").exists()
    assert place.call("traces", "export", "--format", "negatives").ok().out == ""


def test_a_server_answers_with_the_key_from_stdin_and_the_key_is_kept_nowhere(place: Project, chat: MakeChat) -> None:
    url = chat({"make a file": {"calls": [["touch", {"path": "made here"}]]}})
    words = ("run", "./skills/server", "make a file", "--model", f"{url}#tiny", "--key-stdin")
    assert place.call(*words, stdin="hunter2hunter2\n").ok().out == "touch 'made here'\n"
    stored = [path for path in Path(place.environment["SKILLPM_HOME"]).rglob("*") if path.is_file()]
    assert stored and not [path for path in stored if b"hunter2" in path.read_bytes()]
    place.call(*words).fails(2, "stdin has no key")


def test_an_untrained_model_reads_the_skill_and_passages_only_where_it_may(place: Project, chat: MakeChat) -> None:
    server = ("--model", f"{chat({'*': ANSWERS['make a file']})}#tiny", "./skills/server")

    def system(*options: str) -> str:
        ask(place, *server, "make a file", *options).ok()
        return str(place.call("traces", "show", "latest", "--json").ok().document["system"])

    assert "<skill_content" in system() and "<skill_content" not in system("--text", "never")
    assert "left out: " in ask(place, *server, "make a file", "--context-tokens", "1").ok().err
    (place.root / "book.md").write_text("# Files\n\nTo make a file, run touch.\n")
    done = ask(place, *server, "make a file", "--read", "book.md", "--approve", "rules.yaml").ok()
    assert "read: book.md (Files)" in done.err and not (place.root / "made here").exists()
    ask(place, *server, "make a file", "--read", "nowhere.md").fails(6, "nowhere.md")
