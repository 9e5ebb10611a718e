"""``skillpm run``: the command lines of one request, and that nothing of them is executed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_eval import CONTRACT, SITE
from tests.conftest import ROOT, Outcome, Project
from tests.shop import MakeProject

ANSWERS = {
    "use 3": '{"tool": "dev", "args": {"port": 3}}',
    "make a file": '{"tool": "touch", "args": {"path": "made here"}}',
    "call nobody": '{"tool": "rm", "args": {"port": 3}}',
    "talk": "Sure! I will do it.",
}
TOUCH = """\
  - name: touch
    input_schema: {type: object, properties: {path: {type: string}}, required: [path], additionalProperties: false}
    argv: [touch, {value: path}]
"""


@pytest.fixture
def place(project: MakeProject) -> Project:
    return project(
        {
            "site/sitecustomize.py": SITE,
            "answers.json": json.dumps(ANSWERS),
            "model/config.json": "{}",
            "skills/server/SKILL.md": "---\nname: server\ndescription: Starts servers. For servers.\n---\nPorts.\n",
            "skills/server/contract.yaml": CONTRACT + TOUCH,
            "skills/text/SKILL.md": "---\nname: text\ndescription: Says things. For texts.\n---\nText.\n",
        }
    )


def ask(place: Project, *words: str) -> Outcome:
    answers: Path = place.root / "answers.json"
    return place.run("run", *words, PYTHONPATH=f"{place.root / 'site'}:{ROOT}", SKILLPM_TEST_ANSWERS=str(answers))


SERVER = ("--model", "./model", "./skills/server")


def test_a_request_gives_command_lines_and_nothing_is_executed(place: Project) -> None:
    done = ask(place, *SERVER, "make a file").ok()
    assert done.out == "touch 'made here'\n" and "nothing was executed" in done.err
    assert not (place.root / "made here").exists()
    document = ask(place, *SERVER, "use 3", "--json").ok().document
    assert (document["tool"], document["argv"], document["confirm"], document["executed"]) == (
        "dev",
        [["server", "--port", "3"]],
        "always",
        False,
    )


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ((*SERVER, "call nobody"), 1, "the answer means no command: unknown tool 'rm'"),
        ((*SERVER, "talk"), 1, "the model wrote: Sure! I will do it."),
        ((*SERVER, ""), 2, "the request is empty"),
        ((*SERVER, "use 3", "--run", "latest"), 2, "`--run` and `--model` exclude each other"),
        (("./skills/server", "use 3"), 2, "no run here has trained server"),
        (("./skills/server", "use 3", "--run", "latest"), 2, "no finished run"),
        (("./skills/server", "use 3", "--run", "nowhere"), 2, "no run folder `nowhere`"),
        (("--model", "./nowhere", "./skills/server", "use 3"), 2, "no model `./nowhere`"),
        (("--model", "./model", "./skills/text", "use 3"), 1, "text has no contract.yaml"),
        (("--model", "./model", "nobody", "use 3"), 2, "no skill `nobody`"),
    ],
)
def test_what_means_no_command_is_said_with_the_reason(
    place: Project, words: tuple[str, ...], code: int, text: str
) -> None:
    done = ask(place, *words).fails(code, text)
    assert done.out == ""
