"""A skill at a glance comes from the registry that its lock names."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.shop import MakeProject, publish, skill_files


def test_another_version_of_an_installed_skill_is_read_where_the_lock_says(
    project: MakeProject, tmp_path: Path
) -> None:
    shop = publish(tmp_path / "shop", skill_files("one", "1.0"), skill_files("one", "2.0"))
    other = publish(tmp_path / "other", skill_files("one", "2.0") | {"NOTE.md": "other"})
    place = project({"skillpm.yaml": f"project: 1\nregistries: {{other: {other}}}\n"})
    place.call("install", "one==1.0", "--registry", shop).ok()
    for typed in ("one", "one@2.0"):
        shown = place.call("show", typed, "--json").ok().document
        assert (shown["source"], shown["releases"]) == ("registry:../shop", ["2.0", "1.0"])
        assert "NOTE.md" not in shown["files"]


def test_a_skill_s_permissions_are_shown(project: MakeProject) -> None:
    files = skill_files("one")
    wide = {**files, "skill.yaml": f"{files['skill.yaml']}permissions: {{network: true, run: [df, du]}}\n"}
    place = project({"narrow": files, "wide": wide})
    for name, network, programs in (("narrow", False, []), ("wide", True, ["df", "du"])):
        shown = place.call("show", f"./{name}", "--json").ok().document
        assert (shown["network"], shown["programs"]) == (network, programs)
        lines = [" ".join(line.split()) for line in place.call("show", f"./{name}").ok().out.splitlines()]
        assert {f"network {'yes' if network else 'no'}", f"programs {', '.join(programs) or '-'}"} <= {*lines}


def test_a_namesake_that_is_installed_is_meant_first(project: MakeProject) -> None:
    place = project({"a/skills/one/access": skill_files("access"), "a/skills/two/access": skill_files("access", "2.0")})
    place.call("install", "./a", "--all").ok()
    place.call("show", "access").fails(2, "did you mean `one/access` or `two/access`?")


def test_an_archive_shows_what_its_folder_shows(project: MakeProject) -> None:
    shop = project({"demo": skill_files(version="1.2"), "other": skill_files("other")})
    shop.call("pack", "demo", "--output", "out/").ok()
    (packed,) = (shop.root / "out").iterdir()
    expected = shop.call("show", "./demo", "--json").ok().document
    assert shop.call("show", f"./out/{packed.name}", "--json").ok().document == {
        **expected,
        "source": f"./out/{packed.name}",
    }
    with zipfile.ZipFile(shop.root / "two.zip", "w") as archive:
        for file in (shop.root / "demo").rglob("*"):
            archive.write(file, f"two/demo/{file.relative_to(shop.root / 'demo')}")
        archive.write(shop.root / "other/SKILL.md", "two/other/SKILL.md")
    shop.call("show", "two.zip").fails(2, "2 skills")
    shown = shop.call("show", "two.zip#subdirectory=demo", "--json").ok().document
    assert {**shown, "source": expected["source"]} == expected
    shop.call("show", "./nothing.zip").fails(2, "cannot be read")


def test_a_source_with_one_version_has_no_other(project: MakeProject) -> None:
    place = project({"own": skill_files("own")})
    place.call("install", "./own").ok()
    place.call("show", "own@9").fails(2, "path:own has no other version of `own`", "run `skillpm show own`")
    place.call("show", "own@1.0").ok()
