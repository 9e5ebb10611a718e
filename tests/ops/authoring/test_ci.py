"""``skillpm ci init`` writes a workflow that its CI system reads, and never over another one."""

from __future__ import annotations

import os
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillpm.errors import UsageError
from skillpm.ops.authoring.ci import Signing, System, WorkflowOptions, workflow
from tests.shop import MakeProject, skill_files

URL = "https://skills.example.org/team"
WAYS = list(product(System, (True, False), Signing))


def commands(document: Any) -> list[str]:
    """Return every text of a document that a shell runs, as it stands below `run` or `script`."""
    if isinstance(document, dict):
        own = [line for key in ("run", "script", "before_script") for line in _lines(document.get(key, []))]
        return own + [line for value in document.values() for line in commands(value)]
    return [line for item in document for line in commands(item)] if isinstance(document, list) else []


def _lines(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [item for item in value if isinstance(item, str)]


@pytest.mark.parametrize(("system", "trusted", "signing"), WAYS)
def test_a_workflow_is_yaml_whose_commands_a_shell_reads(system: System, trusted: bool, signing: Signing) -> None:
    text = workflow(system, WorkflowOptions(URL, "skills", trusted, signing))
    document = yaml.safe_load(text)
    script = "\n".join(commands(document))

    assert "@" not in text.replace("actions/checkout@v4", "").replace("actions/setup-python@v5", "")
    for line in commands(document):
        subprocess.run(["sh", "-n"], input=line, text=True, check=True)
    assert 'skillpm validate "$SKILLS" --level publish' in script
    assert "skillpm selftest" in script
    assert 'skillpm publish "$(dirname "$file")" --registry "$REGISTRY" --yes' in script
    assert ("--trusted" in script) is trusted
    assert ("_id=NUMBER --claim ref" in text) is trusted  # a name can come to be another's
    assert ("SKILLPM_TOKEN_SKILLS_EXAMPLE_ORG" in text) is not trusted
    assert ("--no-sign" in script) is (signing == Signing.NOBODY)
    assert ("SKILLPM_SIGNING_KEY" in text) is (signing == Signing.KEY)
    keyless, token = signing == Signing.KEYLESS, "id-token: write" if system == System.GITHUB else "id_tokens:"
    assert ("--keyless" in script, "core[sigstore]==" in text) == (keyless, keyless)
    assert (token in text) is (trusted or keyless)
    assert ("SIGSTORE_ID_TOKEN" in text) is (keyless and system == System.GITLAB)


MODEL = "https://models.example.org/v1#small-1"


def test_a_workflow_is_signed_in_one_way(project: MakeProject) -> None:
    made = project({})
    made.call("ci", "init", "github", "--registry", URL, "--keyless", "--no-sign").fails(2, "contradict each other")
    assert not (made.root / ".github").exists()


@pytest.mark.parametrize("system", System)
def test_with_a_model_a_change_request_shows_what_each_measured_skill_adds(system: System, tmp_path: Path) -> None:
    text = workflow(system, WorkflowOptions(URL, "skills", model=MODEL))
    document = yaml.safe_load(text)
    (script,) = [line for line in commands(document) if "skillpm eval" in line]
    for line in commands(document):
        subprocess.run(["sh", "-n"], input=line, text=True, check=True)
    assert "SKILLPM_TOKEN_MODELS_EXAMPLE_ORG" in text
    assert "lift" not in workflow(system, WorkflowOptions(URL, "skills"))

    for path in ("one/suites/basic.yaml", "two/suites/basic.yaml", "plain/SKILL.md"):
        (tmp_path / "skills" / path).parent.mkdir(parents=True)
        (tmp_path / "skills" / path).touch()
    program = tmp_path / "skillpm"
    program.write_text('#!/bin/sh\ncase "$2" in */two) exit 5;; esac\necho "50 % better: $2 $4"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SKILLS": "skills", "MODEL": MODEL}
    subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, env=environment, check=True)
    comment = (tmp_path / "lift.md").read_text()
    assert comment.startswith("### What the skills add to small-1\n")
    assert f"    50 % better: {tmp_path}/skills/one {MODEL}\n" in comment
    assert "skillpm eval two\n\n    could not be measured" in comment
    assert "plain" not in comment


def test_a_comment_is_made_with_the_least_rights_and_never_for_a_fork() -> None:
    job = yaml.safe_load(workflow(System.GITHUB, WorkflowOptions(URL, model=MODEL)))["jobs"]["lift"]
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "head.repo.full_name == github.repository" in job["if"]
    assert [("GH_TOKEN" in step.get("env", {}), "eval" in step.get("run", "")) for step in job["steps"][-2:]] == [
        (False, True), (True, False),
    ]  # fmt: skip


NO_MODELS = [
    "smollm2-135m",
    "https://x/v1",
    "https://x/v1#a b",
    "https://x/v1#$(id)",
    "http://x:99999/#m",
    'http://x#"',
]


@pytest.mark.parametrize("model", NO_MODELS)
def test_ci_asks_a_server_only(model: str) -> None:
    with pytest.raises(UsageError, match="is not a model of a server"):
        workflow(System.GITHUB, WorkflowOptions(URL, model=model))


def test_no_workflow_sends_a_token_unencrypted() -> None:
    with pytest.raises(UsageError, match="unencrypted"):
        workflow(System.GITHUB, WorkflowOptions("http://skills.example.org"))
    assert "http://127.0.0.1:8700" in workflow(System.GITHUB, WorkflowOptions("http://127.0.0.1:8700"))


def test_a_github_job_has_the_least_rights() -> None:
    document = yaml.safe_load(workflow(System.GITHUB, WorkflowOptions(URL, trusted=True)))

    assert document["permissions"] == {"contents": "read"}
    assert "permissions" not in document["jobs"]["check"]
    assert document["jobs"]["publish"]["permissions"] == {"contents": "read", "id-token": "write"}
    assert "pull_request_target" not in document[True]  # YAML reads the key `on` as a truth value
    assert "format('refs/heads/{0}', github.event.repository.default_branch)" in document["jobs"]["publish"]["if"], (
        "a tag can have the name of the branch"
    )
    plain = yaml.safe_load(workflow(System.GITHUB, WorkflowOptions(URL)))
    assert plain["jobs"]["publish"]["permissions"] == {"contents": "read"}


def test_a_gitlab_job_asks_for_a_token_of_the_registry() -> None:
    document = yaml.safe_load(workflow(System.GITLAB, WorkflowOptions(f"{URL}/", trusted=True)))

    assert document["publish-skills"]["id_tokens"] == {"SKILLPM_ID_TOKEN": {"aud": URL}}
    assert document["variables"]["REGISTRY"] == URL


def test_the_scripts_check_every_skill_and_stop_at_the_first_failure(tmp_path: Path) -> None:
    for name in ("one", "two", ".hidden/three"):
        (tmp_path / "skills" / name).mkdir(parents=True)
        (tmp_path / "skills" / name / "SKILL.md").touch()
    (tmp_path / "skillpm").write_text('#!/bin/sh\necho "$2" >> "$LOG"\nexit "$CODE"\n')
    (tmp_path / "skillpm").chmod(0o755)
    document = yaml.safe_load(workflow(System.GITHUB, WorkflowOptions(URL, "skills")))
    (script,) = [line for line in commands(document) if "selftest" in line]

    def run(code: str) -> tuple[int, list[str]]:
        log = tmp_path / f"log-{code}"
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log), "CODE": code}
        done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env={**environment, "SKILLS": "skills"})
        return done.returncode, sorted(Path(line).name for line in log.read_text().splitlines())

    assert run("0") == (0, ["one", "two"])
    code, tried = run("1")
    assert (code, len(tried)) == (1, 1)


def test_the_command_writes_once(project: MakeProject) -> None:
    place = project({f"skills/demo/{path}": text for path, text in skill_files("demo").items()})
    words = ("ci", "init", "github", "--registry", URL, "--skills", "skills")
    shown = place.call(*words, "--dry-run").ok().out
    assert not (place.root / ".github").exists()

    place.call(*words).ok()

    target = place.root / ".github/workflows/skills.yml"
    assert target.read_text() == shown
    place.call(*words, "--no-sign").fails(5, "already exists")
    assert target.read_text() == shown


NO_SERVERS = ["/srv/skills", "ftp://x", "https://", "https://a@x", "https://x?y", "https://x y", 'https://x"']


@pytest.mark.parametrize("registry", NO_SERVERS)
def test_ci_publishes_to_a_server_only(project: MakeProject, registry: str) -> None:
    place = project({f"demo/{path}": text for path, text in skill_files("demo").items()})
    place.call("ci", "init", "gitlab", "--registry", registry).fails(2, "is not the URL of a registry")


@pytest.mark.parametrize("folder", ["nowhere", "../x", "/x", "-x", "a b", "$(x)", "a\nb"])
def test_the_folder_of_the_skills_is_a_plain_one_that_has_some(project: MakeProject, folder: str) -> None:
    project().call("ci", "init", "github", "--registry", URL, "--skills", folder).fails(2)


def test_ci_alone_is_still_a_frozen_install(project: MakeProject) -> None:
    assert "sync" in project().call("ci", "--help").ok().out


@pytest.mark.parametrize(("typed", "said"), [("skils", "there is no folder"), ("docs", "there is no skill in")])
def test_a_folder_without_skills_is_refused_with_what_works_when_it_is_typed(
    project: MakeProject, typed: str, said: str
) -> None:
    place = project({"docs/page.md": "x"})
    words = ("ci", "init", "github", "--registry", URL, "--skills")
    place.call(*words, typed).fails(2, said, f"`skillpm new my-skill --directory {typed}`")
    place.write({"team skills/one": skill_files("one"), "skills/two": skill_files("two")})
    place.call(*words, typed).fails(2, said, "the skills here are in skills, team skills: write `--skills skills`")
    place.call(*words, "skills").ok()
