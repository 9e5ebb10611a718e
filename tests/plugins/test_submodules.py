"""plugins/skillpm-submodules: git submodules become requirements at the recorded commit, hostile ones do not."""

from __future__ import annotations

import subprocess

from tests.conftest import ROOT
from tests.plugins.test_changelog import install, run
from tests.shop import MakeProject

COMMIT = "1" * 40
MODULES = """
[submodule "one"]
\tpath = .claude/skills/one
\turl = https://example.org/ada/one.git
[submodule "pack"]
\tpath = vendor/pack
\turl = https://example.org/ada/pack
[submodule "far"]
\tpath = vendor/far
\turl = git@example.org:ada/far.git
[submodule "out"]
\tpath = ../out
\turl = https://example.org/ada/out
[submodule "empty"]
\tpath = vendor/empty
\turl = https://example.org/ada/empty
"""


def test_each_submodule_with_skills_is_a_requirement_at_its_commit(project: MakeProject) -> None:
    skills = {"skills": {"a": {"SKILL.md": "-"}, "b": {"SKILL.md": "-"}}}
    world = project({".gitmodules": MODULES, "vendor": {"pack": skills, "empty": {"README.md": "-"}}})
    for words in (["init", "-q"], ["update-index", "--add", "--cacheinfo", f"160000,{COMMIT},.claude/skills/one"]):
        subprocess.run(["git", *words], cwd=world.root, check=True)
    install(ROOT / "plugins" / "skillpm-submodules", world.root / "site")

    document = run(world, "import", ".gitmodules", "--json").document
    assert {item["name"]: (item["requirement"], item["pinned"]) for item in document["taken"]} == {
        "one": (f"git+https://example.org/ada/one.git@{COMMIT}", True),
        "a": ("git+https://example.org/ada/pack#subdirectory=skills/a", False),
        "b": ("git+https://example.org/ada/pack#subdirectory=skills/b", False),
    }
    assert {item["name"]: item["reason"] for item in document["left"]} == {
        "far": "its url is not a plain https address",
        'submodule "out"': "its path is not a plain path inside the repository",
        "empty": "it holds no SKILL.md",
    }
    world.write({".gitmodules": "no section\n"})
    run(world, "import", ".gitmodules").fails(2, "is not a .gitmodules file")
