"""What one room needs of another, without importing it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from skillpm.formats.gathered import Bytes

if TYPE_CHECKING:
    from skillpm.model.episode import Episode
    from skillpm.model.release import Listing, Page, Release, Status
    from skillpm.model.task import Message, Seed, Task
    from skillpm.model.verdict import Judgement, Verdict


@dataclass(frozen=True, slots=True)
class Imported:
    """An entry that can be required.

    Attributes:
        name: what the other manager calls it.
        requirement: what `skillpm install` is given.
        pinned: does it name one commit, or content that lies here?
    """

    name: str
    requirement: str
    pinned: bool


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that cannot be taken, why, and what a person can do."""

    name: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ForeignLock:
    """All entries of a lock; ``form`` is the name that its manager gives to the file."""

    form: str
    taken: tuple[Imported, ...]
    left: tuple[Skipped, ...]

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {"format": self.form, "taken": self.taken, "left": self.left}


Judge = Callable[[Sequence["Episode"]], list["Judgement"]]  # episodes of any mix of skills, in order


Observe = Callable[[Sequence["Episode"]], list["Episode"]]  # in order, each with what its environment shows, if it does


Prefetch = Callable[[Sequence["Episode"]], None]  # begins with what a Judge will be asked for, and returns at once


class Index(Protocol):
    """Where skills come from.

    Attributes:
        name: what a lock calls it.
        made_here: archives are made here, out of the files, when they are asked for. Another implementation of deflate
            may have made the locked one, so only the digest of the tree is compared.
        remote: each question is a round trip, so several are asked at once.
    """

    name: str
    made_here: bool
    remote: bool

    def page(self, name: str) -> Page | None:
        """Return every release of a name, or None if it is unknown. Raises RegistryError."""

    def names(self) -> list[str]:
        """Return the names that this index can list, for near names in messages; empty if it cannot."""

    def archive(self, name: str, release: Release) -> Bytes:
        """Return the bytes of a release's archive, not yet checked. Raises RegistryError."""


class Registry(Index, Protocol):
    """An index that can be published to. What is published stays: a version never changes its content."""

    @property
    def place(self) -> str:
        """What ``--registry`` is given to read it: a folder or a URL."""

    def publish(self, name: str, release: Release, archive: Bytes) -> bool:
        """Add a release; False if that content stands there as that version already.

        Of several that publish one version at once exactly one wins; readers see a release once its archive is there.

        Raises:
            ConflictError: the version stands there with another content.
            RegistryError: this is not a registry, or it failed.
            StorageError: the disk refused, where the registry is a folder.
        """

    def yank(self, name: str, version: str, reason: str | None) -> bool:
        """Take a release out of new resolutions, with a reason, or, with None, back in; False if it is so already.

        Raises:
            RegistryError: there is no such release, or the registry failed.
            StorageError: the disk refused, where the registry is a folder.
        """

    def quarantine(self, name: str, version: str, reason: str | None) -> bool:
        """Stop a release from being installed, with a reason, or, with None, allow it again; like ``yank``."""

    def set_status(self, name: str, status: Status, reason: str) -> bool:
        """Say that a skill is deprecated, archived or active, and why; False if that is so already.

        Raises:
            RegistryError: there is no such skill, or the registry failed.
            StorageError: the disk refused, where the registry is a folder.
        """


@runtime_checkable
class SearchableIndex(Index, Protocol):
    """An index that can say what it has."""

    def listings(self) -> Iterator[Listing]:
        """Yield every skill once, by name. Raises RegistryError."""


@runtime_checkable
class RankingIndex(SearchableIndex, Protocol):
    """An index that may have a search of its own."""

    def ranked(self, text: str, has: Collection[str] = ()) -> list[Listing] | None:
        """Return the skills that match and pass all filters of ``SEARCH_FILTERS``, best first.

        None stands for no search, or none that answers now.
        """


@runtime_checkable
class LoggedIndex(Index, Protocol):
    """An index whose releases may be in a log."""

    def demand_logged(self, name: str, release: Release) -> None:
        """Check the proof that a release of a page is in the log, if the index has one.

        Raises:
            IntegrityError: it is not, or the log is not the one of earlier visits.
            RegistryError: the index failed.
        """


@dataclass(frozen=True, slots=True)
class Completion:
    """What a policy wrote to one prompt."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str  # "stop", "length" (cut off at the limit), or "too_long" (the prompt: it was not asked)
    remembered: bool = False  # from an earlier command: nobody was asked
    confidence: float | None = None  # the probability of its least likely token; None where the model does not tell

    @property
    def counted(self) -> bool:
        """Did the model say how many tokens the prompt took, and the answer?"""
        return are_counted(self.prompt_tokens, self.completion_tokens, self.text)


def are_counted(prompt_tokens: int, completion_tokens: int, text: str) -> bool:
    """Are these the tokens of a prompt and of its answer? A text has some, and 0 stands for what nobody counted."""
    return prompt_tokens > 0 and (completion_tokens > 0 or not text)


@dataclass(frozen=True, slots=True)
class PolicyMaker:
    """A kind of policy that a plugin brings; ``--model NAME:REST`` asks for it.

    Attributes:
        name: in front of the colon.
        open: takes what stands behind it, a LoRA adapter's folder or None, and how many prompts to complete at once.
    """

    name: str
    open: Callable[[str, Path | None, int], Policy]


@dataclass(frozen=True, slots=True)
class Embedder:
    """An embedding model that a plugin brings: texts of like meaning have vectors of like direction.

    Attributes:
        name: for messages.
        embed: returns a vector of length 1 for each text, all of the same dimension.
    """

    name: str
    embed: Callable[[Sequence[str]], Sequence[Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A published benchmark that a plugin brings; ``skillpm eval --benchmark NAME`` asks for it.

    Attributes:
        name: how it is asked for, and the name of the skill.
        folder: of a skill that stands for it. Its suites and its verifier come from the plugin, through their hooks.
    """

    name: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Exporter:
    """A way out into another system's form that a plugin brings.

    Attributes:
        name: how ``skillpm export`` calls it.
        export: takes what the skills contribute, by name, and a new empty folder to write into.
        recipe: ``export`` takes the recipe of a training run, too, and returns what of it has no equivalent there.
    """

    name: str
    export: Callable[..., Sequence[str] | None]
    recipe: bool = False


@dataclass(frozen=True, slots=True)
class Importer:
    """A reader of another skill manager's lock that a plugin brings; ``skillpm import FILE`` asks for it.

    Attributes:
        name: of that manager.
        files: the names of the files that it reads, without folders.
        read: takes the file's text and its path, and gives for each entry an ``Imported`` or a ``Skipped`` from
            ``skillpm.plugin``. Such files come with anybody's repositories: believe nothing in them.
    """

    name: str
    files: tuple[str, ...]
    read: Callable[[str, Path], Iterable[Imported | Skipped]]


@dataclass(frozen=True, slots=True)
class Enclosure:
    """One worker that is to be started confined.

    Attributes:
        words: the command that starts it; the first is a Python interpreter.
        read: files and trees that it may read, the interpreter's own among them; some may not be there.
        run: programs that it may start.
        scratch: the only folder that it may write; also its working directory.
        network: may it use the network?
        descriptors: open pipes to skillpm, which the worker must inherit under their numbers.
    """

    words: tuple[str, ...]
    read: tuple[Path, ...]
    run: tuple[Path, ...]
    scratch: Path
    network: bool
    descriptors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SandboxLevel:
    """A level of confinement that a plugin brings; ``--sandbox plugin:NAME`` asks for it.

    Attributes:
        name: behind ``plugin:``.
        probe: returns what is there, such as a version; empty where it cannot work on this machine.
        command: returns the command that starts a worker inside. Killing that command must end all that runs in it.
        strong: does it keep files, networks and processes apart? Only then ``require`` and ``auto`` may take it.
        gaps: what it does not stop, beside what no level stops.
    """

    name: str
    probe: Callable[[], str]
    command: Callable[[Enclosure], Sequence[str]]
    strong: bool = False
    gaps: tuple[str, ...] = ()


class Policy(Protocol):
    """Completes prompts.

    A policy may have a mapping ``settings`` of what else decides its answers; each of its arms records it.
    """

    name: str

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        """Yield ``(index of the prompt, completion)`` in any order, greedy, as they finish.

        A caller may close the iterator before its end; prompts that were not begun are then left out.
        """


@runtime_checkable
class ConstrainablePolicy(Policy, Protocol):
    """A policy whose answers can be held to a form."""

    def constrained(self, schema: Mapping[str, Any]) -> Policy:
        """Return the same policy, whose answers can only be what a JSON Schema accepts.

        Raises:
            SkillpmError: it cannot be held to this schema.
        """


@runtime_checkable
class StoppablePolicy(Policy, Protocol):
    """A policy that can leave an answer unfinished."""

    def stoppable(self, unwanted: Callable[[int], bool]) -> Policy:
        """Return the same policy; it is asked for each token whether the answer to a prompt is still wanted.

        An answer that is unwanted is cut where it is, or left out. The others stay what they would have been.
        """


@runtime_checkable
class BoundedPolicy(Policy, Protocol):
    """A policy that is told when nothing more is to be asked, because answers are paid for, or waited for."""

    def bounded(self, ended: Callable[[], bool], deadline: float | None) -> Policy:
        """Return the same policy, which asks only what may still be asked.

        Args:
            ended: once it is true nothing more is asked. Answers that are under way still come where they are paid for.
            deadline: in seconds of ``time.monotonic``; no answer is waited for any longer.
        """


@runtime_checkable
class SamplingPolicy(Policy, Protocol):
    """A policy whose answers can be drawn by chance."""

    def sampled(self, temperature: float, seed: int) -> Policy:
        """Return the same policy, whose answers are drawn at a temperature above 0; same seed, same answers."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a verifier judges: the task, the episode, and what the skill's contract found (None without one)."""

    task: Task
    episode: Episode
    verdict: Verdict | None = None

    @property
    def expected(self) -> Any:
        """The expected answer."""
        return self.task.expected

    @property
    def completion(self) -> str:
        """The text of the answer."""
        return self.episode.completion


class Verifier(Protocol):
    """Judges attempts in batches."""

    def verify(self, attempts: Sequence[Attempt]) -> Sequence[Verdict]:
        """Return one verdict for each attempt, in order."""


class Simulator(Verifier, Protocol):
    """A verifier with an environment, in which a task may take several answers."""

    def observe(self, attempt: Attempt) -> str | None:
        """Return what the environment shows after the last answer, or None where the episode ends with it.

        It keeps no state: the messages of the episode say all that was answered and shown before.
        """


class SynthesisRule(Protocol):
    """Makes tasks out of seeds and chance."""

    name: str

    def tasks(self, seeds: Sequence[Seed], seed: int) -> Iterator[Task]:
        """Yield tasks without end, or until the rule has no more; same seeds and seed, same tasks."""
