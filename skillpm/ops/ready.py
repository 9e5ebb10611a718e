"""Skills made ready to judge: consent looked up, workers at hand, contributions gathered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.runtime.catalogue import Contributions, build_catalogue
from skillpm.runtime.consent import Consents
from skillpm.runtime.host import Host, load_host
from skillpm.runtime.scoring import Scorer

__all__ = ["ReadySkills", "judging"]


@dataclass(frozen=True, slots=True)
class ReadySkills:
    """Skills whose workers stand ready.

    Attributes:
        contributions: what each skill contributes, by name.
        scorer: judges episodes and runs plugins' synthesis rules.
        host: the user's own plugins.
    """

    contributions: Mapping[str, Contributions]
    scorer: Scorer
    host: Host


@contextmanager
def judging(context: Context, skills: Sequence[Skill]) -> Iterator[ReadySkills]:
    """Make skills ready to judge, and end their workers afterwards.

    Args:
        context: where consents are recorded, and whether the user's plugins are loaded.
        skills: which.

    Raises:
        ConsentError: skill code would run that nobody agreed to.
        PluginError: a skill's code cannot be loaded.
        DocumentError: a document of a skill is wrong.
    """
    consents = Consents(context.settings.consents)
    host = load_host(plugins=context.settings.plugins)
    with Scorer(skills, consents=consents, host=host) as scorer:
        yield ReadySkills(build_catalogue(skills, host, describe=scorer.describe), scorer, host)
