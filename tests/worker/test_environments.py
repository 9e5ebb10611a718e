"""A skill's Python packages: an environment of its own, built once, never obeyed before it is confined."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skillpm.errors import PluginError
from skillpm.model.wheel import WheelSet
from skillpm.sandbox.sandbox import Sandbox
from skillpm.trust.consent import Consents
from skillpm.worker.environments import Environments
from skillpm.worker.settings import WorkerSettings
from tests.present import present
from tests.servers import Shop, serving
from tests.skill_code import Bench, episode
from tests.wheels import digest, source_distribution, wheel

VERIFIER = """
import acme_colours
from skillpm.plugin import Verdict

def verify(attempts, contract):
    return [Verdict(status="failed", score=0.0, reasons=(acme_colours.SHADE,)) for _ in attempts]
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only place that pip asks."""
    folder = tmp_path / "wheels"
    for version, shade in (("1.0", "red"), ("2.0", "blue")):
        wheel(folder, "acme_colours", version, {"acme_colours.py": f"SHADE = {shade!r}\n"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def web(shop: Path) -> Iterator[Shop]:
    """The same folder by https."""
    with serving(shop, tls=True) as server:
        yield server


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    """Where packages are."""
    return Environments(tmp_path / "environments")


@pytest.fixture
def consents(tmp_path: Path, environments: Environments) -> Consents:
    """A record of consents that chooses wheels."""
    return Consents(tmp_path / "consents.json", packages=environments)


WANTED = ("acme-colours==1.0", "acme-colours>=2")


def manifest(*requirements: str) -> str:
    return f"manifest: 1\nversion: 1.0.0\npython: {list(requirements)}\n"


def folders(environments: Environments) -> list[str]:
    place = environments.folder
    return sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []


@pytest.mark.slow
def test_two_skills_that_contradict_each_other_are_judged_together_each_with_its_own(
    bench: Bench, shop: Path, consents: Consents, environments: Environments
) -> None:
    skills = [
        bench.skill({"verifier.py": VERIFIER, "skill.yaml": manifest(wanted)}, name=name)
        for name, wanted in zip(("warm", "cold"), WANTED, strict=True)
    ]
    with bench.scorer(*skills, settings=WorkerSettings(environments=environments)) as scorer:
        judgements = scorer.judge([episode("x", skill=name) for name in ("warm", "cold", "warm")])
    assert [judgement.verdict.reasons[0] for judgement in judgements] == ["red", "blue", "red"]
    built = [present(environments.of(skill, present(consents.wheels(skill)))) for skill in skills]
    assert [environment.distributions for environment in built] == [("acme-colours==1.0",), ("acme-colours==2.0",)]


def test_one_set_of_wheels_is_built_once_however_it_is_asked_for(
    bench: Bench, shop: Path, environments: Environments
) -> None:
    skill = bench.skill()
    wheels = environments.resolve(skill, ("acme-colours==1.0",))
    assert wheels == environments.resolve(skill, ("Acme_Colours < 2", "acme-colours; sys_platform == 'plan9'"))
    first = environments.of(skill, wheels)
    (shop / "acme_colours-1.0-py3-none-any.whl").unlink()
    assert first is not None and Environments(environments.folder, offline=True).of(skill, wheels) == first
    assert folders(environments) == [first.root.name]


@pytest.mark.parametrize("requirement", ["acme-colours; sys_platform == 'plan9'", "pydantic>=2"])
def test_what_does_not_apply_and_what_a_worker_has_already_ask_for_nothing(
    bench: Bench, environments: Environments, requirement: str
) -> None:
    wheels = environments.resolve(bench.skill(), (requirement,))
    assert wheels.wheels == () and environments.fits(wheels, (requirement,))
    assert environments.of(bench.skill(), wheels) is None and not environments.folder.exists()


@pytest.mark.parametrize(("requirement", "offline"), [("acme-colours==3.0", False), ("pydantic<1", True)])
def test_what_cannot_be_resolved_names_the_skill_and_ends_with_the_words_of_pip_and_leaves_nothing(
    bench: Bench, shop: Path, tmp_path: Path, requirement: str, offline: bool
) -> None:
    environments = Environments(tmp_path / "environments", offline=offline)
    with pytest.raises(PluginError) as caught:
        environments.resolve(bench.skill(), (requirement,))
    assert caught.value.exit_code == 9 and "Traceback" not in caught.value.message
    for text in ("serving 1.0.0", requirement, "offline" if offline else ""):
        assert text in caught.value.message, caught.value.message
    assert folders(environments) == []


@pytest.mark.slow
def test_a_newer_release_or_another_index_changes_nothing_that_was_agreed_to(
    bench: Bench, shop: Path, consents: Consents, environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill = bench.skill({"verifier.py": VERIFIER, "skill.yaml": manifest("acme-colours")})
    with bench.scorer(skill, settings=WorkerSettings(environments=environments)) as scorer:
        assert scorer.judge([episode("x")])[0].verdict.reasons == ("blue",)
        agreed = consents.wheels(skill)
        wheel(shop.parent / "evil", "acme_colours", "9999.0", {"acme_colours.py": "SHADE = 'poisoned'\n"})
        monkeypatch.setenv("PIP_FIND_LINKS", f"{shop.parent / 'evil'} {shop}")
        assert consents.granted(skill) and consents.wheels(skill) == agreed
        assert scorer.judge([episode("y")])[0].verdict.reasons == ("blue",)
    assert present(environments.resolve(skill, ("acme-colours",))) != agreed


def test_other_bytes_under_the_same_name_are_not_installed(
    bench: Bench, shop: Path, environments: Environments
) -> None:
    skill = bench.skill()
    wheels = environments.resolve(skill, ("acme-colours==1.0",))
    wheel(shop, "acme_colours", "1.0", {"acme_colours.py": "SHADE = 'other'\n"})
    with pytest.raises(PluginError, match=r"serving 1\.0\.0 cannot be built.*Expected sha256"):
        environments.of(skill, wheels)
    assert folders(environments) == []


def test_a_consent_is_asked_for_again_where_other_wheels_would_be_installed(
    bench: Bench, shop: Path, environments: Environments, tmp_path: Path
) -> None:
    skill = bench.skill({"verifier.py": VERIFIER, "skill.yaml": manifest("acme-colours")})
    older = environments.resolve(skill, ("acme-colours==1.0",))
    of_lock: list[WheelSet] = []
    consents = Consents(tmp_path / "c.json", packages=environments, locked=lambda: {skill.tree: of_lock})
    request = consents.request(skill)
    consents.grant(request)
    assert consents.granted(skill)
    newer = f"acme_colours-2.0-py3-none-any.whl sha256:{digest(shop / 'acme_colours-2.0-py3-none-any.whl')}"
    assert f"  installs {newer}" in request.lines() and newer in request.sentence()
    of_lock.append(older)
    assert not consents.granted(skill) and consents.request(skill).wheels == older
    of_lock[0] = WheelSet(platform="another", wheels=older.wheels)
    assert consents.granted(skill)


HOSTILE = {
    "sdist": "evilpkg @ file://{shop}/evilpkg-1.0.tar.gz",
    "sdist as wheel": "evilpkg @ file://{shop}/evilpkg-1.0.tar.gz?x=.whl",
    "repository": "evilpkg @ git+https://127.0.0.1:9/evilpkg",
    "wheel by file": "evilpkg @ file://{shop}/evilpkg-1.0-py3-none-any.whl",
    "wheel without hash": "evilpkg @ {web}/evilpkg-1.0-py3-none-any.whl",
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind == "sdist" else pytest.mark.slow) for kind in HOSTILE]
)
def test_what_a_wheel_needs_is_a_wheel_too_or_is_refused_by_name_and_nothing_runs(
    bench: Bench,
    web: Shop,
    shop: Path,
    environments: Environments,
    tmp_path: Path,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_TRUSTED_HOST", web.url.removeprefix("https://"))
    canary = tmp_path / "canary"
    wheel(shop, "evilpkg", "1.0", {})
    source_distribution(shop, "evilpkg", "1.0", f"open({str(canary)!r}, 'w').close()")
    wheel(shop, "carrier", "1.0", {}, requires=[HOSTILE[kind].format(shop=shop, web=web.url)])
    with pytest.raises(PluginError, match=r"serving 1\.0\.0") as caught:
        environments.resolve(bench.skill(), ("carrier",))
    assert "evilpkg" in caught.value.message, caught.value.message
    assert not canary.exists() and folders(environments) == []


def test_a_source_distribution_of_an_index_is_not_built(
    bench: Bench, shop: Path, environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    source_distribution(shop, "evilpkg", "1.0", f"open({str(canary)!r}, 'w').close()")
    monkeypatch.setenv("PIP_NO_BINARY", "evilpkg")
    with pytest.raises(PluginError, match="evilpkg"):
        environments.resolve(bench.skill(), ("evilpkg",))
    assert not canary.exists()


def test_the_settings_of_a_project_say_nothing_to_pip(
    bench: Bench, shop: Path, environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, evil = tmp_path / "project", tmp_path / "project" / "evil"
    wheel(evil, "acme_colours", "9999.0", {})
    places = f'find-links = ["{evil}"]\nno-index = true\nno-binary = ["acme-colours"]\n'
    (project / "uv.toml").write_text(f"[pip]\n{places}")
    (project / "pyproject.toml").write_text(f"[tool.uv.pip]\n{places}")
    for name in ("pip.conf", "pip.ini", "setup.cfg"):
        (project / name).write_text(f"[global]\nfind-links = {evil}\n")
    (project / "pip.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(project)
    monkeypatch.setenv("PIP_FIND_LINKS", os.path.relpath(shop))
    assert [str(item.version) for item in environments.resolve(bench.skill(), ("acme-colours",)).wheels] == ["2.0"]


@pytest.mark.slow
def test_an_address_of_a_wheel_with_its_hash_is_installed_and_offline_only_if_it_is_in_the_cache(
    bench: Bench, shop: Path, web: Shop, environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_TRUSTED_HOST", web.url.removeprefix("https://"))
    file = "acme_colours-1.0-py3-none-any.whl"
    skill, asked = bench.skill(), (f"acme-colours @ {web.url}/{file}#sha256={digest(shop / file)}",)
    offline = Environments(environments.folder, offline=True)
    with pytest.raises(PluginError, match=f"{web.url}/{file}.* offline"):
        offline.resolve(skill, asked)
    assert web.seen == []
    wheels = environments.resolve(skill, asked)
    assert [(item.file, item.url) for item in wheels.wheels] == [(file, f"{web.url}/{file}")]
    assert environments.fits(wheels, asked) and not environments.fits(wheels, ("acme-colours>=2",))
    with pytest.raises(PluginError, match=f"{web.url}/{file}.* offline"):
        offline.of(skill, wheels)
    built = environments.of(skill, wheels)
    assert built is not None and built == offline.of(skill, wheels)


@pytest.mark.parametrize("level", [pytest.param("landlock", marks=pytest.mark.slow), "bubblewrap"])
def test_a_package_runs_nothing_before_it_is_confined(
    bench: Bench, shop: Path, tmp_path: Path, level: str, offered: Callable[[str], Sandbox]
) -> None:
    """A ``.pth`` file would be obeyed by an interpreter that starts as usual: before anything confines it."""
    canary = tmp_path / "canary"
    deed = f"open({str(canary)!r}, 'w').close()"
    wheel(
        shop,
        "acme_colours",
        "4.0",
        {
            "acme.pth": f"import sys; exec({deed!r})\n",
            "sitecustomize.py": deed,
            "pluggy.py": deed,
            "pyvenv.cfg": "home = /nowhere\n",
            "acme_colours-4.0.data/scripts/python": deed,
            "acme_colours-4.0.data/data/pyvenv.cfg": "home = /nowhere\n",
            "acme_colours.py": f"try:\n    {deed}\nexcept OSError as error:\n    SHADE = type(error).__name__\n",
        },
    )
    skill = bench.skill({"verifier.py": VERIFIER, "skill.yaml": manifest("acme-colours==4.0")})
    place = WorkerSettings(offered(level), environments=Environments(tmp_path / "environments"))
    with bench.scorer(skill, settings=place) as scorer:
        (judgement,) = scorer.judge([episode("x")])
    assert judgement.verdict.reasons[0] in ("PermissionError", "FileNotFoundError", "OSError"), judgement
    assert not canary.exists()
