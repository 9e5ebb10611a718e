"""A skill's Python packages: an environment of its own, built once, never obeyed before it is confined."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from skillpm.errors import PluginError
from skillpm.sandbox.sandbox import Sandbox
from skillpm.worker.environments import Environments, builder
from skillpm.worker.settings import WorkerSettings
from tests.present import present
from tests.skill_code import MakeEpisode, MakeScorer, MakeSkill

VERIFIER = """
import acme_colours
from skillpm.plugin import Verdict

def verify(attempts, contract):
    return [Verdict(status="failed", score=0.0, reasons=(acme_colours.SHADE,)) for _ in attempts]
"""


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str]) -> None:
    """Write a wheel, as PEP 427 has it."""
    information = f"{name}-{version}.dist-info"
    texts = {
        **files,
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        for path, text in texts.items()
    ]
    texts[f"{information}/RECORD"] = "\n".join([*rows, f"{information}/RECORD,,"]) + "\n"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in texts.items():
            archive.writestr(path, text)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only place that the installer asks."""
    folder = tmp_path / "wheels"
    for version, shade in (("1.0", "red"), ("2.0", "blue")):
        wheel(folder, "acme_colours", version, {"acme_colours.py": f"SHADE = {shade!r}\n"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


WANTED = ("acme-colours==1.0", "acme-colours>=2")


def manifest(*requirements: str) -> str:
    return f"manifest: 1\nversion: 1.0.0\npython: {list(requirements)}\n"


def test_two_skills_that_contradict_each_other_are_judged_together_each_with_its_own(
    make_skill: MakeSkill, make_scorer: MakeScorer, episode: MakeEpisode, shop: Path, tmp_path: Path
) -> None:
    skills = [
        make_skill({"verifier.py": VERIFIER, "skill.yaml": manifest(wanted)}, name=name)
        for name, wanted in zip(("warm", "cold"), WANTED, strict=True)
    ]
    environments = Environments(tmp_path / "environments")
    with make_scorer(*skills, settings=WorkerSettings(environments=environments)) as scorer:
        judgements = scorer.judge([episode("x", skill=name) for name in ("warm", "cold", "warm")])
    assert [judgement.verdict.reasons[0] for judgement in judgements] == ["red", "blue", "red"]
    built = [present(environments.of(skill, (text,))) for skill, text in zip(skills, WANTED, strict=True)]
    assert [environment.distributions for environment in built] == [("acme-colours==1.0",), ("acme-colours==2.0",)]


def test_one_set_of_requirements_is_built_once_however_it_is_written(
    make_skill: MakeSkill, shop: Path, tmp_path: Path
) -> None:
    place = Environments(tmp_path / "environments")
    first = place.of(make_skill(name="first"), ("acme-colours==1.0",))
    (shop / "acme_colours-1.0-py3-none-any.whl").unlink()
    again = Environments(tmp_path / "environments").of(make_skill(name="second"), ("Acme_Colours == 1.0",))
    assert first is not None and again == first
    assert [path.name for path in place.folder.iterdir() if path.is_dir()] == [first.root.name]


def test_markers_that_do_not_apply_ask_for_nothing(make_skill: MakeSkill, tmp_path: Path) -> None:
    place = Environments(tmp_path / "environments")
    assert place.of(make_skill(), ("acme-colours; sys_platform == 'plan9'",)) is None
    assert not place.folder.exists()


@pytest.mark.parametrize(
    ("requirement", "offline", "texts"),
    [
        ("acme-colours==3.0", False, ("serving 1.0.0", "acme-colours==3.0")),
        ("acme-colours==3.0", True, ("serving 1.0.0", "offline", "acme-colours==3.0")),
        ("pydantic<1", False, ("serving 1.0.0", "pydantic")),
        ("acme @ https://example.org/acme.tar.gz", False, ("serving 1.0.0", "acme.tar.gz", "no wheel")),
        ("acme @ git+https://example.org/acme", False, ("serving 1.0.0", "git+https://example.org/acme", "no wheel")),
    ],
)
def test_what_cannot_be_built_names_the_skill_and_ends_with_the_installer_s_words_and_leaves_nothing(
    make_skill: MakeSkill,
    make_scorer: MakeScorer,
    episode: MakeEpisode,
    shop: Path,
    tmp_path: Path,
    requirement: str,
    offline: bool,
    texts: tuple[str, ...],
) -> None:
    skill = make_skill({"verifier.py": VERIFIER, "skill.yaml": manifest(requirement)})
    place = Environments(tmp_path / "environments", offline=offline)
    with make_scorer(skill, settings=WorkerSettings(environments=place)) as scorer:
        with pytest.raises(PluginError) as caught:
            scorer.describe(skill)
        assert scorer.judge([episode()])[0].verdict.status == "errored"
    assert caught.value.exit_code == 9 and "Traceback" not in caught.value.message
    for text in texts:
        assert text in caught.value.message, caught.value.message
    assert not place.folder.exists() or not [path for path in place.folder.iterdir() if path.is_dir()]


@pytest.mark.parametrize("level", ["landlock", "bubblewrap"])
def test_a_package_runs_nothing_before_it_is_confined(
    make_skill: MakeSkill,
    make_scorer: MakeScorer,
    episode: MakeEpisode,
    shop: Path,
    tmp_path: Path,
    level: str,
    offered: Callable[[str], Sandbox],
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
            **({"acme_colours-4.0.data/scripts/python": deed} if builder() == "pip" else {}),  # uv refuses that name
            "acme_colours-4.0.data/data/pyvenv.cfg": "home = /nowhere\n",
            "acme_colours.py": f"try:\n    {deed}\nexcept OSError as error:\n    SHADE = type(error).__name__\n",
        },
    )
    skill = make_skill({"verifier.py": VERIFIER, "skill.yaml": manifest("acme-colours==4.0")})
    place = WorkerSettings(offered(level), environments=Environments(tmp_path / "environments"))
    with make_scorer(skill, settings=place) as scorer:
        (judgement,) = scorer.judge([episode("x")])
    assert judgement.verdict.reasons[0] in ("PermissionError", "FileNotFoundError", "OSError"), judgement
    assert not canary.exists()
