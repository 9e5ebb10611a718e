"""A skill at a glance comes from the registry that its lock names."""

from __future__ import annotations

from pathlib import Path

from tests.shop import MakeProject, SkillFiles, publish


def test_another_version_of_an_installed_skill_is_read_where_the_lock_says(
    project: MakeProject, tmp_path: Path, skill_files: SkillFiles
) -> None:
    shop = publish(tmp_path / "shop", skill_files("one", "1.0"), skill_files("one", "2.0"))
    other = publish(tmp_path / "other", skill_files("one", "2.0") | {"NOTE.md": "other"})
    place = project({"skillpm.yaml": f"project: 1\nregistries: {{other: {other}}}\n"})
    place.call("install", "one==1.0", "--registry", shop).ok()
    for typed in ("one", "one@2.0"):
        shown = place.call("show", typed, "--json").ok().document
        assert (shown["source"], shown["releases"]) == ("registry:../shop", ["2.0", "1.0"])
        assert "NOTE.md" not in shown["files"]


def test_a_skill_s_permissions_are_shown(project: MakeProject, skill_files: SkillFiles) -> None:
    files = skill_files("one")
    wide = {**files, "skill.yaml": f"{files['skill.yaml']}permissions: {{network: true, run: [df, du]}}\n"}
    place = project({"narrow": files, "wide": wide})
    for name, network, programs in (("narrow", False, []), ("wide", True, ["df", "du"])):
        shown = place.call("show", f"./{name}", "--json").ok().document
        assert (shown["network"], shown["programs"]) == (network, programs)
        lines = [" ".join(line.split()) for line in place.call("show", f"./{name}").ok().out.splitlines()]
        assert {f"network {'yes' if network else 'no'}", f"programs {', '.join(programs) or '-'}"} <= {*lines}


def test_a_namesake_that_is_installed_is_meant_first(project: MakeProject, skill_files: SkillFiles) -> None:
    place = project({"a/skills/one/access": skill_files("access"), "a/skills/two/access": skill_files("access", "2.0")})
    place.call("install", "./a", "--all").ok()
    place.call("show", "access").fails(2, "did you mean `one/access` or `two/access`?")
