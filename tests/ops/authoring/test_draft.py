"""``skillpm draft``: training data out of the commands that a text shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from skillpm.contract.contract import Contract
from skillpm.formats.document import read_model
from skillpm.layout.shown import options_with_values, shown_commands
from skillpm.model.contract import ContractDocument
from skillpm.ops.authoring.draft import draft
from tests.scripted_policy import ScriptedPolicy
from tests.shop import MakeProject

TEXT = """\
---
name: pages
description: Works with pages. Use it for pages.
---

# Pages

Extract the text of a document:

```bash
pagetext -layout in.pdf out.txt
# Extract only the first pages
pagetext -f 1 -l 5 in.pdf out.txt
pagetext in.pdf - | wc -w
echo done
pagetext $FILE
```

Rotate a page by a quarter:

```console
$ pagetool in.pdf out.pdf --rotate=+90:1
$ pagetool --check out.pdf    # Check a document
rotated
```

| Option | Meaning |
|---|---|
| `--password WORD`, `-p WORD` | open a locked document |
| `--check` | look only |

```sh
gitlike worktree add <path> <branch>
gitlike log -n 3 --oneline    # Show the last commits
gitlike status -sb   # Say what changed
pagetool --password secret in.pdf \\
   out.pdf               # Open a locked document
```

```python
import pages
```

| for | command |
|---|---|
| how many pages there are | `pagetool --count in.pdf`, also of others |
| no command | `Name it` |

- Show a page on the screen: `pageview in.pdf`
- Neither `this one` nor `that one`
- `port` is a number
"""
GOOD = ("Extract the text of a document: in.pdf, out.txt", "pagetext -layout in.pdf out.txt")


def skill(tmp_path: Path, text: str = TEXT) -> Path:
    root = tmp_path / "pages"
    root.mkdir()
    (root / "SKILL.md").write_text(text)
    return root


def test_commands_come_with_what_is_said_beside_them() -> None:
    shown = {item.text: item.said for item in shown_commands(TEXT)}
    assert shown == {
        "pagetext -layout in.pdf out.txt": "Extract the text of a document",
        "pagetext -f 1 -l 5 in.pdf out.txt": "Extract only the first pages",
        "pagetool in.pdf out.pdf --rotate=+90:1": "Rotate a page by a quarter",
        "pagetool --check out.pdf": "Check a document",
        "gitlike worktree add @path@ @branch@": "",
        "gitlike log -n 3 --oneline": "Show the last commits",
        "gitlike status -sb": "Say what changed",
        "pagetool --password secret in.pdf out.pdf": "Open a locked document",
        "pagetool --count in.pdf": "how many pages there are",
        "pageview in.pdf": "Show a page on the screen",
    }
    assert options_with_values(TEXT) == {"--password": True, "-p": True, "--check": False}


def test_a_draft_is_valid_and_holds_the_options_and_rows_of_the_text(tmp_path: Path, project: MakeProject) -> None:
    root = skill(tmp_path)
    place = project()
    assert "would write contract.yaml" in place.call("draft", root, "--dry-run").ok().err
    assert [path.name for path in root.iterdir()] == ["SKILL.md"]
    told = place.call("draft", root).ok()
    assert "validate" in told.err
    place.call("validate", root).ok()
    place.call("validate", root, "--level", "publish").fails(1, "")  # an author has to read it first
    grammar = yaml.safe_load((root / "contract.yaml").read_text())["tools"][0]["argv"]["allow"]
    assert grammar["pagetool"]["options"] == ["--check", "--count"]
    assert [option["names"] for option in grammar["pagetool"]["values"]] == ["--password", "--rotate"]
    assert grammar["pagetext"]["options"] == ["-layout"]
    assert set(grammar["gitlike"]["subcommands"]) == {"worktree", "log", "status"}
    assert grammar["gitlike"]["subcommands"]["status"]["options"] == ["-b", "-s"]
    seeds = [json.loads(line) for line in (root / "seeds/examples.jsonl").read_text().splitlines()]
    suite = yaml.safe_load((root / "suites/core.yaml").read_text())["tasks"]
    rows = {row["request"]: row["expected"]["args"]["command"] for row in (*seeds, *suite)}
    assert len(rows) == 9 and rows[GOOD[0]] == GOOD[1]
    assert not {row["request"] for row in seeds} & {row["request"] for row in suite}
    place.call("draft", root).fails(2, "has contract.yaml already")


def test_a_text_without_commands_is_told(tmp_path: Path, project: MakeProject) -> None:
    root = skill(tmp_path, TEXT.split("# Pages")[0] + "Be kind.\n")
    project().call("draft", root).fails(2, "shows no command")


def test_a_row_of_a_model_stays_only_if_it_answers_its_own_request(tmp_path: Path) -> None:
    contract = Contract(read_model(ContractDocument, draft(skill(tmp_path)).files["contract.yaml"]))
    right = contract.render({"tool": "run_command", "args": {"command": GOOD[1]}})
    asked = (
        f"Write 4 short requests in other words, one a line, nothing else. Each asks for what `{GOOD[1]}` does, and "
    )
    asked += f"names its values. One is: {GOOD[0]}"
    kept, wrong = "Turn in.pdf into out.txt with its layout", "Print something nice please"
    policy = ScriptedPolicy({asked: f"1. {kept}\n- {wrong}\nshort", kept: right, wrong: right.replace("layout", "l")})
    drafted = draft(tmp_path / "pages", policy)
    assert drafted.written == 1
    assert (kept, GOOD[1]) in drafted.rows and kept in drafted.files["seeds/examples.jsonl"]


@pytest.mark.parametrize(
    "broken", ["```sh\nrun 'it\n```", "```sh\n\n```", "~~~\n```", "```\nrun \\", "`--x`\n| `--` |"]
)
def test_no_text_ends_it(broken: str) -> None:
    assert shown_commands(broken) == []
    options_with_values(broken)
