"""``skillpm plugins``: what is loaded, from where; what fails is named and stops nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DISTRIBUTION = {
    "acme-1.2.dist-info": {
        "METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1.2\n",
        "entry_points.txt": "[skillpm]\ngood = acme_good\nbad = acme_bad\n",
    },
    "acme_good.py": "import skillpm\n@skillpm.hookimpl\ndef skillpm_run_finished(run):\n    pass\n",
    "acme_bad.py": "raise RuntimeError('broken')\n",
}


def test_plugins_are_listed_with_origin_and_hooks_and_failures_by_name(project: Callable[..., Any]) -> None:
    here = project({"site": DISTRIBUTION})
    path = f"{here.root / 'site'}:{here.environment['PYTHONPATH']}"
    outcome = here.run("plugins", "--json", PYTHONPATH=path).ok()
    assert outcome.document["plugins"][1] == {"name": "good", "source": "acme 1.2", "hooks": ["skillpm_run_finished"]}
    assert "RuntimeError: broken" in outcome.document["failures"][0]["message"]
    text = here.run("plugins", PYTHONPATH=path).ok()
    assert "acme 1.2" in text.out and "failed: acme 1.2" in text.err
    none = here.run("plugins", "--json", PYTHONPATH=path, SKILLPM_NO_PLUGINS="1").ok()
    assert [item["name"] for item in none.document["plugins"]] == ["conventions"]
