"""Judge answers from outside: rows of (expected, completion) in, judgements out, in order, in a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict

from skillpm.errors import DocumentError
from skillpm.formats.document import Document, Json, read_json_line
from skillpm.formats.utf8_text import utf8_text
from skillpm.model.episode import Episode
from skillpm.model.skill import Skill
from skillpm.model.verdict import Judgement, verdict_document
from skillpm.ops.context import Context
from skillpm.ops.learning.session import open_session
from skillpm.runtime.catalogue import Contributions
from skillpm.worker.scoring import Scorer

BATCH_ROWS = 1024
BATCH_BYTES = 8 << 20
_ROW = 'a row is {"expected": …, "completion": "…"}; further keys are allowed'


class Row(Document):
    """One row; keys that we do not know are the caller's own."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    expected: Json
    completion: str
    request: str = ""
    id: Json = None


@dataclass(frozen=True, slots=True)
class Scoring:
    """What became of rows.

    Attributes:
        rows: that were read.
        errored: of those, how many could not be judged.
        reason: why not, for the first of those.
    """

    rows: int
    errored: int
    reason: str


def score(
    context: Context, skill: Skill, lines: Iterable[bytes], write: Callable[[dict[str, Any]], object], *, path: str
) -> Scoring:
    """Judge rows with the verifier of a skill to whose code the person has agreed.

    A row is ``{expected, completion, request?, id?, …}`` in JSON Lines. ``write`` gets each judgement, in order, as
    soon as it is there. ``path`` names the input in messages.

    Raises:
        DocumentError: a bad row, with its line; every row before it has been written. Or there is no row.
    """
    rows = errored = 0
    reason = ""
    with open_session(context, [skill]) as session:
        session.scorer.describe(skill)
        for judgement in score_rows(lines, session.scorer, session.contributions[skill.name], path=path):
            write(judgement)
            rows += 1
            if judgement["status"] == "errored":
                reason = reason if errored else f"row {rows}: {' '.join(judgement['reasons'])}"
                errored += 1
    if not rows:
        raise DocumentError("holds no row", path=path, hint=_ROW)
    return Scoring(rows, errored, reason)


def score_rows(
    lines: Iterable[bytes], scorer: Scorer, contributions: Contributions, *, path: str = "<stdin>"
) -> Iterator[dict[str, Any]]:
    """Yield one JSON-ready judgement for each row, in order; a blank line asks for those of all rows before it.

    Raises:
        DocumentError: a bad row, with its line; every row before it has been yielded.
    """
    batch: list[tuple[Row, Episode]] = []
    size = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            yield from _judged(batch, scorer)
            batch, size = [], 0
            continue
        try:
            batch.append(_row(line, contributions, path, number))
        except DocumentError:
            yield from _judged(batch, scorer)
            raise
        size += len(line)
        if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield from _judged(batch, scorer)
            batch, size = [], 0
    yield from _judged(batch, scorer)


def _row(line: bytes, contributions: Contributions, path: str, number: int) -> tuple[Row, Episode]:
    try:
        row = read_json_line(Row, utf8_text(line, path, before=number - 1), path=path, line=number)
    except DocumentError as error:
        error.hint = error.hint or _ROW
        raise
    return row, Episode.answering(contributions.task(row.request, row.expected), row.completion)


def _judged(batch: list[tuple[Row, Episode]], scorer: Scorer) -> Iterator[dict[str, Any]]:
    judgements = scorer.judge([episode for _, episode in batch])
    for (row, _), judgement in zip(batch, judgements, strict=True):
        yield _document(row, judgement)


def _document(row: Row, judgement: Judgement) -> dict[str, Any]:
    return {
        **({"id": row.id} if "id" in row.model_fields_set else {}),
        **verdict_document(judgement.verdict),
        "rewards": judgement.rewards,
        "argv": judgement.argv,
    }
