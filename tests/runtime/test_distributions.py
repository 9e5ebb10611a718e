"""What an installed distribution adds to commands: layout rules, a kind of registry, an observer of installs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.plugins.test_changelog import run
from tests.shop import MakeProject, skill_files

PLUGIN = """
from pathlib import Path
from skillpm.plugin import hookimpl


@hookimpl
def skillpm_layout_rules():
    from skillpm.plugin import Problem, rule

    @rule("ACME001", "no owner", why="nobody answers for it")
    def owner(subject):
        if "OWNER" not in subject.files:
            yield Problem("there is no OWNER file", hint="write the team's name into OWNER")

    return [owner]


@hookimpl
def skillpm_index(url):
    if url.startswith("acme:"):
        from skillpm.index.directory import DirectoryIndex
        return DirectoryIndex(Path(url.removeprefix("acme:")), url)


@hookimpl
def skillpm_installed(skill):
    with Path("told.txt").open("a") as file:
        file.write(f"{skill.name} {skill.version}\\n")
"""


def installed(source: str, name: str = "acme") -> dict[str, Any]:
    """Return the files of an installed distribution whose entry point is this module."""
    return {
        f"site/{name}_plugin.py": source,
        f"site/{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"site/{name}-1.0.dist-info/entry_points.txt": f"[skillpm]\n{name} = {name}_plugin\n",
    }


def test_a_plugin_s_rule_is_checked(project: MakeProject) -> None:
    """Its finding stands among ours, with its own code, and not where plugins are switched off."""
    world = project({**installed(PLUGIN), "demo": skill_files()})

    findings = run(world, "validate", "demo", "--json").document["reports"][0]["findings"]
    assert ("ACME001", "error") in {(finding["code"], finding["severity"]) for finding in findings}
    run(world, "validate", "demo", SKILLPM_NO_PLUGINS="1").ok()


def test_a_rule_that_raises_is_named(project: MakeProject) -> None:
    """The error names the plugin and the rule, without a traceback."""
    broken = PLUGIN.replace('if "OWNER" not in subject.files:', "if 1 / 0:")
    world = project({**installed(broken), "demo": skill_files()})

    run(world, "validate", "demo").fails(9, "acme", "ACME001", "ZeroDivisionError")


def test_a_code_of_ours_is_taken(project: MakeProject) -> None:
    """A plugin cannot pretend to be one of our rules."""
    world = project({**installed(PLUGIN.replace("ACME001", "SK001")), "demo": skill_files()})

    run(world, "validate", "demo").fails(9, "SK001")


def test_a_plugin_s_registry_is_asked_and_observers_are_told(project: MakeProject) -> None:
    """A URL that is not built in is the plugin's; what was installed from it can be installed again from the lock."""
    from skillpm.layout.tree import MappingTree
    from tests.shop import write_registry

    world = project(installed(PLUGIN))
    files = {name: text.encode() for name, text in skill_files("far-skill").items()}
    write_registry(world.root / "registry", [MappingTree(files)], name="acme")
    url = f"acme:{world.root / 'registry'}"

    run(world, "install", "far-skill", "--registry", url).ok()
    assert (world.root / "told.txt").read_text() == "far-skill 1.0\n"
    assert url in (world.root / "skillpm.lock").read_text()
    run(world, "install").ok()
    world.call("install", "far-skill", "--registry", url).fails(5, "not supported")


FOREIGN = """
import json
from pathlib import Path
from skillpm.plugin import hookimpl
from skillpm.plugin import Completion, Exporter, PolicyMaker


class Table:
    def __init__(self, rest):
        self.name, self.answers = f"table:{rest}", json.loads(Path(rest).read_text())

    def complete(self, prompts, *, max_new_tokens):
        for index, prompt in enumerate(prompts):
            yield index, Completion(self.answers.get(prompt[-1].content, ""), 3, 4, "stop")


def write(contributions, folder):
    for name, given in contributions.items():
        rows = "".join(json.dumps({"q": seed.request, "a": seed.expected}) + "\\n" for seed in given.seeds)
        (folder / f"{name}.jsonl").write_text(rows)
        given.contract.sample("no-such-tool", None) if name == "broken" else None


@hookimpl
def skillpm_policies():
    return [PolicyMaker("table", lambda rest, adapter, batch_size: Table(rest))]


@hookimpl
def skillpm_exporters():
    return [Exporter("pairs", write)]
"""


def test_a_plugin_s_policy_answers(project: MakeProject) -> None:
    """`--model NAME:REST` is the plugin's; what it cannot open is an error that names it, and so is a wrong name."""
    world = project(installed(FOREIGN))
    world.call("new", "finder").ok()
    suite = (world.root / "finder/suites/core.yaml").read_text()
    assert 'request: "Anything that says lorem?"' in suite
    right = {"tool": "find_text", "args": {"pattern": "lorem", "path": None, "ignore_case": None}}
    world.write({"answers.json": json.dumps({"Anything that says lorem?": json.dumps(right)})})

    found = run(world, "eval", "./finder", "--model", "table:answers.json", "--json", "--no-gate").ok().document
    (figures,) = found["figures"]
    assert (figures["tasks"], round(figures["tasks"] * figures["exact"]["estimate"])) == (6, 1)
    run(world, "eval", "./finder", "--model", "table:none.json").fails(9, "policy `table`", "FileNotFoundError")
    run(world, "eval", "./finder", "--model", "chair:none").fails(2, "no model `chair:none`")


def test_a_plugin_s_exporter_writes_a_folder_whole_or_not_at_all(project: MakeProject) -> None:
    world = project(installed(FOREIGN))
    for name in ("finder", "broken"):
        world.call("new", name).ok()

    assert run(world, "export", "pairs", "./finder", "--output", "out").ok().out == "out/finder.jsonl\n"
    assert len((world.root / "out/finder.jsonl").read_text().splitlines()) == 8
    run(world, "export", "pairs", "./broken", "--output", "gone").fails(9, "acme: exporter `pairs`", "KeyError")
    assert not (world.root / "gone").exists()
    run(world, "export", "columns", "./finder", "--output", "gone").fails(
        2, "no exporter `columns`", "known here: pairs"
    )
    world.call("export", "pairs", "./finder", "--output", "gone").fails(
        2, "no exporter `pairs`", "brings nemo-gym and verifiers"
    )


IMPORTER = """
from skillpm.plugin import hookimpl
from skillpm.plugin import Imported, Importer, Skipped


def read(text, path):
    for line in text.splitlines():
        name, equals, place = line.partition("=")
        if name == "explode":
            1 / 0
        if name == "forge":
            yield place
        yield (
            Imported(name, place.replace("ESC", chr(27)), pinned=True) if equals else Skipped(name, "it says no place")
        )


@hookimpl
def skillpm_importers():
    return [Importer("NAME", ("NAME.lock", "shared.lock", "skills-lock.json"), read)]
"""


def test_a_plugin_s_importer_reads_the_locks_that_it_names(project: MakeProject) -> None:
    """What it gives is looked at again and installed as our own readers' entries are."""
    lines = "mine=./mine\nred=./x-ESC[31m\nnowhere\n"
    files = {"mine": skill_files("mine"), "acme.lock": lines, "skills-lock.json": '{"version": 1, "skills": {}}'}
    world = project({**installed(IMPORTER.replace("NAME", "acme")), **files})

    found = run(world, "import", "acme.lock", "--install", "--json").fails(1).document
    assert (found["format"], [item["requirement"] for item in found["taken"]]) == ("acme.lock", ["./mine"])
    assert [(item["name"], item["reason"]) for item in found["left"]] == [
        ("red", "its requirement is not one line of text"),
        ("nowhere", "it says no place"),
    ]
    assert [item["name"] for item in found["installation"]["skills"]] == ["mine"]
    world.call("import", "acme.lock").fails(2, "known are skills-lock.json", "the files that plugins read")
    assert run(world, "import", "skills-lock.json", "--json").ok().document["format"] == "skills-lock.json"


def test_an_importer_that_fails_or_shares_a_file_name_is_named(project: MakeProject) -> None:
    """A clash matters only for the file name that two share, and names both plugins."""
    sources = {name: installed(IMPORTER.replace("NAME", name), name) for name in ("acme", "bolt")}
    world = project({**sources["acme"], **sources["bolt"]})
    world.write({"acme.lock": "explode\n", "bolt.lock": "forge=x\n", "shared.lock": "mine=./mine\n"})

    run(world, "import", "acme.lock").fails(9, "acme: importer `acme`", "ZeroDivisionError")
    run(world, "import", "bolt.lock").fails(9, "bolt: importer `bolt`", "returned a str, not an Imported or Skipped")
    run(world, "import", "shared.lock").fails(9, "acme and bolt both read files called `shared.lock`")
    run(world, "import", "shared.lock", SKILLPM_LOAD_PLUGINS="bolt").ok()


SANDBOX = """
from skillpm.plugin import hookimpl
from skillpm.plugin import SandboxLevel


def inside(enclosure):
    assert enclosure.scratch.is_dir() and len(enclosure.descriptors) == 3
    return ["env", "ACME_JAIL=yes", *enclosure.words]


def level(name, probe=lambda: "1.2", command=inside, **more):
    return SandboxLevel(name, probe, command, **more)


@hookimpl
def skillpm_sandboxes():
    return [
        level("acme", strong=True, gaps=("leaving at noon",)),
        level("weak"),
        level("absent", probe=lambda: ""),
        level("broken", probe=lambda: 1 / 0),
        level("torn", command=lambda enclosure: 1 / 0),
        level("missing", command=lambda enclosure: ["/no/such/jail", *enclosure.words]),
    ]
"""
JAILED = """
import os
from skillpm.plugin import Verdict


def verify(attempts, contract):
    return [Verdict(status="failed", score=0.0, reasons=(f"jail: {os.environ.get('ACME_JAIL')}",)) for _ in attempts]
"""


@pytest.mark.slow
def test_a_plugin_s_sandbox_confines_workers(project: MakeProject) -> None:
    """Only where it is named or called strong; a policy that requires a strong one is not fallen back from."""
    demo = {**skill_files(), "verifier.py": JAILED, "rows.jsonl": '{"expected": {}, "completion": "x"}\n'}
    world = project({**installed(SANDBOX), "demo": demo})

    def score(level: str) -> Any:
        return run(world, "score", "./demo", "demo/rows.jsonl", "--yes", "--sandbox", f"plugin:{level}")

    assert "jail: yes" in score("weak").ok().out
    score("none").fails(6, "no plugin offers plugin:none")
    score("absent").fails(6, "no plugin offers plugin:absent")
    score("broken").fails(9, "acme: sandbox `broken`: ZeroDivisionError")
    score("torn").fails(9, "acme: sandbox `torn`: ZeroDivisionError")
    score("missing").fails(9, "/no/such/jail")
    score("A B").fails(2, "--sandbox")
    world.write({"skillpm.yaml": "project: 1\npolicy: {sandbox: require}\n"})
    score("weak").fails(6, "requires a strong sandbox", "plugin:weak")
    assert "jail: yes" in score("acme").ok().out


def test_the_doctor_tells_of_plugins_sandboxes(project: MakeProject) -> None:
    world = project(installed(SANDBOX))
    checks = {check["name"]: check for check in run(world, "doctor", "--json").ok().document["checks"]}

    strong, weak = checks["sandbox plugin:acme"], checks["sandbox plugin:weak"]
    assert strong["found"].startswith("plugin:acme (acme 1.2 + ") and strong["found"].endswith("; strong")
    assert "leaving at noon" in strong["note"] and "any file that you may read" not in strong["note"]
    assert "only if you name it" in weak["found"] and "any file that you may read" in weak["note"]
    assert [checks[f"sandbox plugin:{name}"]["level"] for name in ("absent", "broken")] == ["warning", "warning"]


INDEX = """
import sys
from skillpm.plugin import hookimpl


class Odd:
    name, made_here, remote = "odd:x", False, False

    def page(self, name):
        {page}

    def names(self):
        return []

    def archive(self, name, release):
        return b""


@hookimpl
def skillpm_index(url):
    print("looked at")
    return {index}


print("loaded")
"""


@pytest.mark.parametrize(
    ("index", "page", "says"),
    [
        ("5", "pass", "a int is not a skillpm.plugin.Index: it has no page"),
        ("Odd()", "return {'releases': []}", "acme: index odd:x: TypeError: `page` returned a dict, not a Page"),
        ("Odd()", "raise BaseException('gone')", "acme: index odd:x: BaseException: gone"),
        ("Odd()", "sys.exit(0)", "acme: index odd:x: SystemExit: 0"),
    ],
)
def test_an_index_that_breaks_its_rules_is_named_and_prints_nothing_among_our_data(
    project: MakeProject, index: str, page: str, says: str
) -> None:
    world = project(installed(INDEX.format(index=index, page=page)))
    outcome = run(world, "install", "demo", "--registry", "odd:x", "--json").fails(9, says)
    assert json.loads(outcome.out)["error"] == "plugin"
    assert "loaded" in outcome.err and "looked at" in outcome.err
