"""Skills made ready to judge: consent looked up, environments built, workers at hand, contributions gathered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from skillpm.model.skill import Skill
from skillpm.model.wheel import WheelSet
from skillpm.ops.context import Context
from skillpm.runtime.catalogue import Contributions, build_catalogue
from skillpm.runtime.host import Host
from skillpm.sandbox.sandbox import Sandbox, choose
from skillpm.storage.store import Store
from skillpm.trust.consent import Consents
from skillpm.worker.environments import Environments
from skillpm.worker.scoring import Scorer
from skillpm.worker.sealed import SealedCopies
from skillpm.worker.settings import WorkerSettings


def open_sandbox(context: Context) -> Sandbox:
    """Return what confines skill code; plugins are loaded only where none of our own levels is asked for or will do.

    Raises:
        PolicyError: this machine does not offer what is required.
        PluginError: the level that is asked for failed, or two plugins bring levels of one name.
    """
    settings = context.settings
    brought = lambda: context.host.sandboxes()  # noqa: E731, PLW0108 - the host is opened where it is called
    return choose(settings.sandbox, brought, required=settings.sandbox_required)


@dataclass(frozen=True, slots=True)
class JudgingSession:
    """Skills whose workers stand ready.

    Attributes:
        scorer: judges episodes and runs plugins' synthesis rules.
        sandbox: what confines the workers, in words.
        packages: what each skill's own Python environment holds, by the skill's name.
    """

    contributions: Mapping[str, Contributions]
    scorer: Scorer
    host: Host
    sandbox: str
    packages: Mapping[str, tuple[str, ...]]


def open_consents(context: Context) -> Consents:
    """Return the person's record, under the policies that hold here."""
    settings = context.settings

    def locked() -> Mapping[str, Sequence[WheelSet]]:
        wheels: dict[str, list[WheelSet]] = {}
        for entry in context.lock().skills:  # one content may be locked under two names, and one of them lack wheels
            wheels.setdefault(entry.tree, []).extend(entry.python or ())
        return wheels

    return Consents(
        settings.consents,
        policies=settings.trust_policies,
        rule=settings.consent,
        locked=locked,
        packages=Environments(settings.environments, offline=settings.offline),
    )


def sealed_skills(context: Context, skills: Sequence[Skill]) -> list[Skill]:
    """Return the skills as they may run: what is shown, agreed to and run is one content.

    Raises:
        IntegrityError: a folder has a link, a device or the like, or changed since the skill was read.
    """
    copies = SealedCopies(context.store, Store(context.settings.sealed))
    return [copies.seal(skill) for skill in skills]


@contextmanager
def open_session(context: Context, skills: Sequence[Skill]) -> Iterator[JudgingSession]:
    """Make skills ready to judge, and end their workers afterwards.

    Raises:
        PolicyError: this machine cannot confine it as is required.
        PluginError: a skill's code cannot be loaded, or the environment that it needs cannot be built.
        DocumentError: a document of a skill is wrong.
        IntegrityError: a skill's folder cannot be sealed.
    """
    settings = context.settings
    skills = sealed_skills(context, skills)
    consents = open_consents(context)
    worker_settings = WorkerSettings(
        sandbox=open_sandbox(context),
        workers=settings.workers,
        policies=settings.trust_policies,
        environments=Environments(settings.environments, offline=settings.offline),
        wheels=consents.wheels,
    )
    host = context.host
    with ExitStack() as stack:
        if settings.engine == "ray":
            from skillpm.worker.ray_engine import RayEngine, connected

            stack.enter_context(connected())
            worker_settings = replace(worker_settings, engine=RayEngine(consents.wheels, settings.offline))
        scorer = stack.enter_context(Scorer(skills, consents=consents, host=host, settings=worker_settings))
        built = {skill.name: worker_settings.prepare(skill)[1] for skill in skills}
        packages = {name: environment.distributions for name, environment in built.items() if environment is not None}
        catalogue = build_catalogue(skills, host, describe=scorer.describe)
        yield JudgingSession(catalogue, scorer, host, str(worker_settings.sandbox), packages)
