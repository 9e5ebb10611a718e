"""A resources server of NeMo Gym, held to the wire format that its agents speak."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from skillpm.agent.gym_server import aggregate
from skillpm.errors import VerifierError
from skillpm.model.skill import Skill
from skillpm.runtime.catalogue import build_catalogue
from skillpm.runtime.host import Host
from skillpm.trust.consent import Consents
from skillpm.worker.scoring import Scorer
from tests.agent.conftest import listening
from tests.conftest import Project, write_tree
from tests.serving import GOLD, TEXT, skill
from tests.shop import MakeProject, skill_files

pytest.importorskip("starlette")
EXACT = {"port": 8123, "host": "a"}


def message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}


def call(name: str, arguments: Any) -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"type": "function_call", "call_id": "c", "name": name, "arguments": text, "status": "completed"}


def row(*output: dict[str, Any], skill: str = "serving") -> dict[str, Any]:
    """What an agent posts to ``/verify``."""
    response = {"id": "r", "created_at": 0, "model": "m", "object": "response", "parallel_tool_calls": False}
    return {
        "responses_create_params": {"input": [{"role": "user", "content": "serve on 8123"}]},
        "response": {**response, "tool_choice": "auto", "tools": [], "output": list(output)},
        "expected_output": GOLD,
        "verifier_metadata": {"skill": skill},
    }


@pytest.fixture(scope="module")
def gym(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of the server of two skills that have the same tools."""
    from starlette.testclient import TestClient

    from skillpm.agent.gym_server import GymServer

    folder = tmp_path_factory.mktemp("gym")
    skills = [Skill(name, "1", "0" * 64, write_tree(folder / name, skill())) for name in ("serving", "other")]
    with Scorer(skills, consents=Consents(folder / "none")) as scorer:
        catalogue = build_catalogue(skills, Host(), describe=scorer.describe)
        with TestClient(GymServer(catalogue, scorer.judge).application(), base_url="http://127.0.0.1") as client:
            yield client


def post(client: Any, path: str, document: Any, **options: Any) -> Any:
    """Post JSON in ASCII, as it comes: an answer may hold what is not a character."""
    headers = {"content-type": "application/json", **options.pop("headers", {})}
    return client.post(path, content=json.dumps(document), headers=headers, **options)


@pytest.mark.parametrize(
    ("output", "least", "most"),
    [
        ([message(TEXT)], 1, 1),
        ([call("serve", EXACT)], 1, 1),
        ([{"type": "reasoning", "id": "x", "summary": []}, call("serve", EXACT), message("Done.")], 1, 1),
        ([call("serve", {**EXACT, "port": 1})], 0.2, 0.9),
        ([call("serve", EXACT), call("stop", {})], 0, 0.09),
        ([call("serve", '{"port": 1, "port": 8123, "host": "a"}')], 0, 0.09),
        ([call("serve", "[")], 0, 0.09),
        ([message("Sure! " + TEXT)], 0, 0.09),
        ([message("\ud800")], 0, 0.09),
        ([], 0, 0.09),
    ],
)
def test_a_response_is_paid_as_the_skill_judges_it(gym: Any, output: list[Any], least: float, most: float) -> None:
    asked = row(*output)
    answer = post(gym, "/verify", asked).json()
    assert {name: answer[name] for name in asked} == asked, "the row is echoed"
    assert answer["reward"] == answer["reward_components"]["graded"] == answer["graded"] == answer["score"]
    assert least <= answer["reward"] <= most and answer["passed"] == (least == 1)
    assert answer["verdict"]["argv"] == ([["serve", "--port", "8123"]] if least == 1 else answer["verdict"]["argv"])


def test_what_cannot_be_judged_is_no_reward(gym: Any) -> None:
    answer = post(gym, "/verify", {**row(message(TEXT)), "expected_output": {"tool": "nothing"}})
    assert answer.status_code == 503 and "reward" not in answer.json()
    assert "breaks the contract" in answer.json()["error"]["reasons"][0]


def test_a_judge_that_fails_is_an_outage_for_all_that_wait_for_it(tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    from skillpm.agent.gym_server import GymServer

    def judge(episodes: Any) -> Any:
        raise VerifierError("two plugins bring a verifier")

    catalogue = build_catalogue([Skill("serving", "1", "0" * 64, write_tree(tmp_path, skill()))], Host())
    asked = TestClient(GymServer(catalogue, judge).application(), base_url="http://127.0.0.1")
    with asked as client, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: post(client, "/verify", row(message(TEXT))), range(8)))
    assert {answer.status_code for answer in answers} == {503}
    assert "two plugins bring a verifier" in "".join(answer.text for answer in answers)


def test_an_old_figure_in_a_row_is_replaced(gym: Any) -> None:
    """Rollouts are verified again as they were stored."""
    answer = post(gym, "/verify", {**row(message("no")), "reward": 1.0, "score": 1.0, "response_id": 7}).json()
    assert (answer["reward"], answer["score"], answer["response_id"]) == (0.0, 0.0, 7)
    assert gym.get("/reverify_mode").json() == "stateless"


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/verify", b"x" * (10 << 20), 413, "more than"),
        ("/verify", b"{", 400, "not JSON"),
        ("/verify", b"[" * 100_000, 400, "not JSON"),
        ("/verify", b"[]", 400, "not a JSON object"),
        ("/verify", b'{"a": NaN}', 400, "not JSON"),
        ("/verify", {}, 422, "verifier_metadata"),
        ("/verify", {"verifier_metadata": [1]}, 422, "verifier_metadata"),
        ("/verify", {"verifier_metadata": {"skill": 5}}, 422, "whose `skill` is a name"),
        ("/verify", row(skill="nobody"), 422, "skill `nobody` is not served: serving, other"),
        ("/verify", {"verifier_metadata": {"skill": "serving"}}, 422, "`responses_create_params` is missing"),
        ("/verify", {**row(), "response": []}, 422, "form of Responses"),
        ("/verify", {**row(), "response": {"output": [3]}}, 422, "form of Responses"),
        ("/verify", {**row(), "response": {"output": [{"type": "function_call"}]}}, 422, "form of Responses"),
        ("/verify", {**row(), "responses_create_params": {"input": 5}}, 422, "form of Responses"),
        ("/verify", {**row(message("x")), "n": [[]] * 3, "m": 10**400}, 200, '"reward": 0.0'),
        ("/seed_session", row(skill="nobody"), 422, "is not served"),
        ("/aggregate_metrics", {"verify_responses": [1]}, 422, "not a list of objects"),
        ("/nothing", {}, 404, "no tool `nothing`"),
        ("/serve", {}, 409, "2 skills have a tool `serve`"),
    ],
)
def test_what_a_client_does_wrong_is_a_status_with_a_reason(
    gym: Any, path: str, body: Any, status: int, text: str
) -> None:
    gym.cookies.clear()
    content = body if isinstance(body, bytes) else json.dumps(body)
    answer = gym.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status and text in answer.text
    assert gym.post(path, content=content, headers={"content-type": "text/plain"}).status_code == 415
    evil = {"content-type": "application/json", "host": "evil.example"}
    assert gym.post(path, content=content, headers=evil).status_code == 421


def test_a_session_says_which_skill_s_tool_is_called_and_nothing_runs(gym: Any) -> None:
    gym.cookies.clear()
    assert post(gym, "/seed_session", row(skill="other")).json() == {}
    accepted = post(gym, "/serve", {"port": 8123}).json()
    assert accepted == {"accepted": True, "problems": [], "argv": [["serve", "--port", "8123"]], "executed": False}
    refused = post(gym, "/serve", {"port": "eighty"}).json()
    assert (refused["accepted"], refused["argv"], refused["executed"]) == (False, None, False) and refused["problems"]
    gym.cookies.clear()
    stranger = post(gym, "/serve", {}, headers={"cookie": "skillpm_skill=stranger"})
    assert stranger.status_code == 422 and "skill `stranger` is not served" in stranger.text


def test_a_path_may_name_the_rollout_that_it_belongs_to(gym: Any) -> None:
    assert post(gym, "/ng-rollout/7/verify", row(message(TEXT))).json()["reward"] == 1.0


def test_rows_that_come_together_are_judged_together_and_each_gets_its_own(gym: Any) -> None:
    ports = [8123 if number % 3 else number for number in range(60)]
    answers = [json.dumps({**GOLD, "args": {"port": port, "host": "a", "quiet": None}}) for port in ports]
    with ThreadPoolExecutor(20) as threads:
        paid = list(threads.map(lambda text: post(gym, "/verify", row(message(text))).json()["reward"], answers))
    assert [reward == 1 for reward in paid] == [port == 8123 for port in ports]


def test_numbers_are_summed_up_for_each_task_and_for_all() -> None:
    rows: list[dict[str, Any]] = [
        {"_ng_task_index": task, "reward": reward, "passed": reward == 1, "note": "x", "far": float("inf")}
        for task, reward in ((0, 1.0), (0, 0.0), (3, 0.5))
    ]
    found = aggregate([*rows[:2], {**rows[2], "response": {"usage": {"total_tokens": 7}}}])
    assert found["agent_metrics"]["mean/reward"] == found["key_metrics"]["mean/reward"] == 0.5
    assert found["agent_metrics"]["std/reward"] == 0.5 and found["agent_metrics"]["mean/total_tokens"] == 7
    assert not [name for name in found["agent_metrics"] if "note" in name or "far" in name or "_ng_" in name]
    first, second = found["group_level_metrics"]
    assert (first["_ng_task_index"], first["mean/passed"], first["max/reward"]) == (0, 0.5, 1.0)
    assert (second["_ng_task_index"], second["median/reward"], second["std/reward"]) == (3, 0.5, 0.0)


@pytest.fixture
def place(project: MakeProject) -> Project:
    own = "def verify(attempts, contract):\n    return [attempt.verdict for attempt in attempts]\n"
    return project({"serving": skill(verifier_py=own), "plain": skill_files("plain")})


def test_the_command_judges_with_code_that_a_person_has_agreed_to(place: Project) -> None:
    words = ("serve", "--gym", "./serving")
    place.call(*words).fails(6, "verifier.py", "--yes")
    with listening(place, *words, "--yes", says="judging serving at") as port:
        place.call(*words, "--port", str(port)).fails(2, f"port {port} cannot be used")
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/verify",
            json.dumps({**row(message(TEXT)), "verifier_metadata": {}}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["reward"] == 1.0


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--gym", "./plain"), 1, "plain has neither a contract nor a verifier"),
        (("--gym", "./plain", "--model", "x"), 2, "`--gym` serves no model"),
        (("--gym", "./plain", "--tries", "3", "--max-new-tokens", "9"), 2, "remove `--tries` and `--max-new-tokens`"),
        (("--gym",), 2, "no skill is installed here"),
        ((), 2, "`serve` needs one SKILL, not 0"),
        (("./plain", "./serving"), 2, "`serve` needs one SKILL, not 2"),
    ],
)
def test_what_cannot_be_served_is_an_error(place: Project, words: tuple[str, ...], code: int, text: str) -> None:
    place.call("serve", *words).fails(code, text)
