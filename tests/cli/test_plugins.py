"""``skillpm plugins``: what is loaded, from where; what fails is named and stops nothing."""

from __future__ import annotations

from tests.shop import MakeProject

DISTRIBUTION = {
    "acme-1.2.dist-info": {
        "METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1.2\n",
        "entry_points.txt": "[skillpm]\ngood = acme_good\nbad = acme_bad\n",
    },
    "acme_good.py": "from skillpm.plugin import hookimpl\n@hookimpl\ndef skillpm_run_finished(run):\n    pass\n",
    "acme_bad.py": "raise RuntimeError('broken')\n",
}


def test_plugins_are_listed_with_origin_and_hooks_and_failures_by_name(project: MakeProject) -> None:
    here = project({"site": DISTRIBUTION})
    path = f"{here.root / 'site'}:{here.environment['PYTHONPATH']}"
    outcome = here.call("plugins", "--json", PYTHONPATH=path).ok()
    good = outcome.document["plugins"][1]
    assert {**good, "seconds": 0} == {
        "name": "good", "source": "acme 1.2", "hooks": ["skillpm_run_finished"], "seconds": 0, "failures": 0
    }  # fmt: skip
    assert good["seconds"] > 0
    assert "RuntimeError: broken" in outcome.document["failures"][0]["message"]
    text = here.call("plugins", PYTHONPATH=path).ok()
    assert "acme 1.2" in text.out and "failed: acme 1.2" in text.err
    unknown = here.call("plugins", "--json", PYTHONPATH=path, SKILLPM_LOAD_PLUGINS="bolt").ok().document
    assert [item["name"] for item in unknown["plugins"]] == ["conventions"]
    assert (
        unknown["failures"][0]["plugin"] == "bolt" and "no installed distribution" in unknown["failures"][0]["message"]
    )
    none = here.call("plugins", "--json", PYTHONPATH=path, SKILLPM_NO_PLUGINS="1").ok()
    assert [item["name"] for item in none.document["plugins"]] == ["conventions"]


def test_what_a_skill_s_hooks_do_in_their_worker_is_traced_and_printed_as_text(project: MakeProject) -> None:
    code = (
        "from skillpm.plugin import hookimpl\n@hookimpl\ndef skillpm_tools(skill):\n    return []\n\n"
        "@hookimpl\ndef skillpm_rewards(skill):\n    raise OSError('\\x1b[2J\\n' + 'x' * 100_000)\n"
    )
    here = project(
        {"demo": {"SKILL.md": "---\nname: demo\ndescription: Show things.\n---\nShow.\n", "plugin.py": code}}
    )
    outcome = here.run("score", "./demo", "--yes", SKILLPM_TRACE_HOOKS="1").fails(9, "skillpm_rewards: OSError")
    told = [line for line in outcome.err.splitlines() if "in the worker of demo" in line]
    assert any(
        line.startswith("hook: skillpm_rewards of plugin.py (in the worker of demo): OSError: \\x1b[2J\\nxx")
        for line in told
    )
    assert "\x1b" not in outcome.err and max(map(len, told)) < 1000
    assert "in the worker" not in here.call("score", "./demo", "--yes").err
