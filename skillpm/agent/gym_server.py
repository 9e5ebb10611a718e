"""A resources server of NeMo Gym for skills: a row with a model's response comes in, its reward goes out.

=========================== ====================================================================================
``POST /seed_session``      a row begins an episode: a cookie then says which skill's tools the episode calls
``POST /TOOL``              the arguments of a call: what it would run, or why it is refused; nothing runs
``POST /verify``            a row with ``response``: the row again, with ``reward`` and what else is known
``POST /aggregate_metrics`` the answers of ``/verify``: mean, max, min, median and deviation of each number
``GET /reverify_mode``      ``stateless``: the server keeps nothing between two requests
=========================== ====================================================================================

A row has ``responses_create_params``, ``expected_output`` and, where several skills are served, ``skill`` in its
``verifier_metadata``. An answer that could not be judged is status 503, never a reward: an outage would train a model.

Source: NVIDIA-NeMo/Gym 0.4 to 0.7, ``nemo_gym/base_resources_server.py`` and ``nemo_gym/reward_profile.py``.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from skillpm.agent.local_server import RefusedError, local_application, read_object
from skillpm.contract.native import call_text
from skillpm.errors import SkillpmError
from skillpm.model.episode import Episode
from skillpm.model.ports import Judge
from skillpm.model.verdict import Judgement, Verdict
from skillpm.runtime.catalogue import Contributions

_ROW = 8 << 20  # bytes of a row with its response
_ROWS = 256 << 20  # bytes of all rows of an aggregation
_BATCH = 1024  # episodes that go to a worker together
_COOKIE = "skillpm_skill"
_ROW_KEYS = {"responses_create_params", "response", "expected_output", "verifier_metadata", "agent_ref"}
_UNJUDGED = Judgement(verdict=Verdict.errored("the server was interrupted"))
_TASK = "_ng_task_index"  # the number of a row's task, in Gym's own words
_STATISTICS: tuple[tuple[str, Callable[[Sequence[float]], float]], ...] = (
    ("mean", statistics.fmean),
    ("max", max),
    ("min", min),
    ("median", statistics.median),
    ("std", lambda values: statistics.stdev(values) if len(values) > 1 else 0.0),
)


class GymServer:
    """Judges the rows of skills.

    Args:
        skills: what they contribute, by name.
    """

    def __init__(self, skills: Mapping[str, Contributions], judge: Judge) -> None:
        self._skills = dict(skills)
        self._judge = judge
        self._waiting: list[tuple[Episode, asyncio.Future[Judgement]]] = []
        self._turn = asyncio.Lock()

    def application(self) -> Starlette:
        """Return the application. A prefix ``/ng-rollout/ID`` in front of a path changes nothing."""
        routes = [
            Route("/", _answering(self._alive, None)),
            Route("/reverify_mode", _answering(self._reverify_mode, None)),
            Route("/seed_session", _answering(self._seed_session, _ROW), methods=["POST"]),
            Route("/verify", _answering(self._verify, _ROW), methods=["POST"]),
            Route("/aggregate_metrics", _answering(self._aggregate_metrics, _ROWS), methods=["POST"]),
            Route("/{tool}", _answering(self._call_tool, _ROW), methods=["POST"]),
        ]
        return local_application([Mount("/ng-rollout/{rollout}", routes=routes), *routes])

    async def _alive(self, request: Request, body: dict[str, Any]) -> Response:
        return _json({"status": "ok", "skills": list(self._skills)})

    async def _reverify_mode(self, request: Request, body: dict[str, Any]) -> Response:
        return _json("stateless")

    async def _seed_session(self, request: Request, row: dict[str, Any]) -> Response:
        response = _json({})
        name = _skill_name(row)
        if name is not None:
            response.set_cookie(_COOKIE, self._served(name).skill.name)
        return response

    async def _call_tool(self, request: Request, arguments: dict[str, Any]) -> Response:
        """Answer a call as its contract reads it. The model sees a refusal, so that is no error here."""
        name = request.path_params["tool"]
        session = request.cookies.get(_COOKIE)
        asked = self._skills.values() if session is None else [self._served(session)]
        contracts = [item.contract for item in asked if item.contract is not None and name in item.contract.tools]
        if not contracts:
            raise RefusedError(404, f"there is no tool `{name[:80]}`")
        if len(contracts) > 1:
            raise RefusedError(409, f"{len(contracts)} skills have a tool `{name}`: begin with /seed_session")
        call = {"tool": name, "args": {**dict.fromkeys(contracts[0].tools[name].properties), **arguments}}
        problems = contracts[0].problems(call)
        return _json(
            {
                "accepted": not problems,
                "problems": problems,
                "argv": None if problems else contracts[0].argv(call),
                "executed": False,
            }
        )

    async def _verify(self, request: Request, row: dict[str, Any]) -> Response:
        given = self._served(_skill_name(row))
        judgement = await self._judged(_episode(given, row))
        verdict, reward = judgement.verdict, judgement.rewards.get(given.default_reward)
        if reward is None:
            message = f"{given.skill.name} could not judge this answer"
            raise RefusedError(503, message, code=verdict.status, reasons=verdict.reasons)
        rewards = {name: value for name, value in judgement.rewards.items() if value is not None}
        judged = {"status": verdict.status, "reasons": verdict.reasons, "argv": judgement.argv}
        numbers = {"score": verdict.score, "passed": verdict.status == "passed", **rewards}
        numbers = {name: value for name, value in numbers.items() if name not in _ROW_KEYS}
        more = {"reward": reward, "reward_components": rewards, "verdict": judged}
        return _json({**row, **numbers, **more})

    async def _aggregate_metrics(self, request: Request, body: dict[str, Any]) -> Response:
        rows = body.get("verify_responses")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise RefusedError(422, "`verify_responses` is not a list of objects")
        return _json(await anyio.to_thread.run_sync(aggregate, rows))

    def _served(self, name: str | None) -> Contributions:
        if name is None and len(self._skills) == 1:
            return next(iter(self._skills.values()))
        if name is None:
            raise RefusedError(422, "`verifier_metadata` of the row does not say which `skill` it is for")
        if name not in self._skills:
            raise RefusedError(422, f"skill `{name[:80]}` is not served: {', '.join(self._skills)}")
        return self._skills[name]

    async def _judged(self, episode: Episode) -> Judgement:
        """Judge an episode together with all that come while a batch is judged: one of them asks for the others."""
        answer: asyncio.Future[Judgement] = asyncio.get_running_loop().create_future()
        self._waiting.append((episode, answer))
        async with self._turn:
            while not answer.done():
                batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                judgements = [_UNJUDGED] * len(batch)
                try:
                    judgements = await anyio.to_thread.run_sync(self._judge, [item for item, _ in batch])
                finally:
                    for (_, waiting), judgement in zip(batch, judgements, strict=True):
                        waiting.set_result(judgement)
        return answer.result()


def aggregate(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return statistics of the numbers in answers of ``/verify``: of all rows, and of the rows of each task."""
    tasks: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        tasks.setdefault(row[_TASK] if isinstance(row.get(_TASK), int) else 0, []).append(row)
    whole = _statistics(rows)
    return {
        "agent_metrics": whole,
        "key_metrics": {name: value for name, value in whole.items() if name.startswith("mean/")},
        "group_level_metrics": [{_TASK: number, **_statistics(tasks[number])} for number in sorted(tasks)],
    }


def _statistics(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    numbers: dict[str, list[float]] = {}
    for row in rows:
        response = row.get("response")
        usage = response.get("usage") if isinstance(response, dict) else None
        for name, value in {**(usage if isinstance(usage, dict) else {}), **row}.items():
            if isinstance(value, int | float) and not name.startswith("_ng_") and math.isfinite(value):
                numbers.setdefault(name, []).append(float(value))
    return {f"{name}/{of}": compute(values) for of, values in numbers.items() for name, compute in _STATISTICS}


def _answering(
    handle: Callable[[Request, dict[str, Any]], Awaitable[Response]], most: int | None
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers a request: its body is read, at most so many bytes, and what is refused has its status."""

    async def answer(request: Request) -> Response:
        try:
            return await handle(request, {} if most is None else await read_object(request, most))
        except RefusedError as refused:
            return _json(refused.document, refused.status)
        except SkillpmError as error:
            return _json({"error": {"message": error.message, "type": error.name}}, 503)
        except (OverflowError, RecursionError):
            return _json(
                {"error": {"message": "the request is nested too deeply, or holds a number out of range"}}, 422
            )

    return answer


def _json(document: Any, status: int = 200) -> Response:
    """Return a document as JSON in ASCII, since a model's answer may hold what is not a character."""
    try:
        text = json.dumps(document, allow_nan=False)
    except ValueError:
        return _json({"error": {"message": "a number of the row is out of range"}}, 422)
    return Response(text, status, media_type="application/json")


def _skill_name(row: Mapping[str, Any]) -> str | None:
    """Return the skill that a row names, or None. Raises RefusedError where that is not a name."""
    metadata = row.get("verifier_metadata") or {}
    name = metadata.get("skill") if isinstance(metadata, dict) else 0
    if name is not None and not isinstance(name, str):
        raise RefusedError(422, "`verifier_metadata` is not an object whose `skill` is a name")
    return name


def _episode(given: Contributions, row: Mapping[str, Any]) -> Episode:
    """Return what a row asks and what its response answers. Raises RefusedError where it has another form."""
    for key in ("responses_create_params", "response", "expected_output"):
        if key not in row:
            raise RefusedError(422, f"`{key}` is missing")
    try:
        response = row["response"]
        task = given.task(_request(row["responses_create_params"]["input"]), row["expected_output"])
        answer = _answer(given, response["output"])
        cut = response.get("incomplete_details") is not None
    except (AttributeError, KeyError, TypeError):
        raise RefusedError(422, "`responses_create_params` or `response` has not the form of Responses") from None
    return Episode.answering(task, answer, "length" if cut else "stop")


def _request(items: Any) -> str:
    """Return the last thing that the user says."""
    if isinstance(items, str):
        return items
    said = [_text(item["content"]) for item in items if item.get("role") == "user"]
    return said[-1] if said else ""


def _answer(given: Contributions, items: Sequence[Mapping[str, Any]]) -> str:
    """Return a response as the contract's own answer: its calls, or else its last message."""
    tools = {} if given.contract is None else given.contract.tools
    calls = [call_text(tools, item) for item in items if item.get("type") == "function_call"]
    messages = [_text(item["content"]) for item in items if item.get("type", "message") == "message"]
    return "\n".join(calls) if calls else "".join(messages[-1:])


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content)
