"""The verifier gate of a server: what can be fooled, or cannot be judged in time, never goes live."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response

from skillpm.errors import StorageError
from skillpm_registry import lister
from skillpm_registry.gate import Gate
from skillpm_registry.tables import GateReport
from tests.registry.conftest import Person, Server, parcel, problem
from tests.registry.test_drafts import uploads
from tests.registry.test_protocols_publication import claw
from tests.shop import skill_files

CONTRACT = """contract: 1
system_prompt: "Answer with JSON."
tools:
  - name: rotate
    description: Rotate a journal.
    input_schema:
      type: object
      properties: {unit: {type: string}, days: {type: integer}}
      required: [unit, days]
      additionalProperties: false
    argv: [journalctl, --rotate, {flag: --unit, value: unit}, {flag: --vacuum-time, value: days}]
"""
SEEDS = "".join(
    f'{{"request": "rotate {unit} after {days} days", "expected": {{"tool": "rotate", "args": '
    f'{{"unit": "{unit}", "days": {days}}}}}}}\n'
    for unit, days in (("nginx", 3), ("sshd", 5), ("cron", 9))
)


def asked_until_judged(person: Person, wish: dict[str, Any], archive: bytes) -> Response:
    """Publish as a client does: ask until the gate has judged."""
    number = person.ask("POST", "uploads", wish).json()["id"]
    sent = person.send(number, archive)
    assert sent.status_code == 200, sent.text
    end = time.monotonic() + 200
    while (answer := person.ask("POST", f"uploads/{number}/publish")).status_code == 202:
        assert answer.json()["state"] == "staged"
        assert time.monotonic() < end
        time.sleep(0.2)
    return answer


def test_a_skill_that_judges_nothing_goes_live_at_once(serve: Callable[..., Server]) -> None:
    server = serve(gate=300)

    assert server.owner.publish(skill_files("demo")).status_code == 201


def verified(files: dict[str, str], body: str, manifest: str = "") -> dict[str, str]:
    """Return a skill with a contract, seeds and a verifier of its own."""
    code = f"from skillpm.plugin import Verdict\n\n\ndef verify(attempts, contract):\n    {body}\n"
    return files | {
        "contract.yaml": CONTRACT, "seeds/a.jsonl": SEEDS, "verifier.py": code,
        "skill.yaml": f"manifest: 1\nversion: 1.0\n{manifest}",
    }  # fmt: skip


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_a_release_of_another_client_goes_live_by_itself_when_it_is_judged(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    """Its client does not ask again: not after the judgement, and not after a restart of the server."""
    judged = threading.Event()

    def judge(gate: Gate, job: Any) -> tuple[str, dict[str, Any]]:
        judged.wait(20)
        return outcome, {"findings": [{"message": "it pays all"}]}

    monkeypatch.setattr(Gate, "_judged", judge)
    server = serve(gate=300)
    files = {path: text.encode() for path, text in verified(skill_files("weather"), "return []").items()}
    first = claw(server.owner, files, "1.0")
    assert (first.status_code, first.json()["publicationStatus"]) == (200, "pending")
    again = serve(server.root, gate=300)  # it judges what waits
    assert server.versions("weather") == []
    judged.set()
    end = time.monotonic() + 20
    while not any(state in ("live", "refused") for state in uploads(again)) and time.monotonic() < end:
        time.sleep(0.01)
    assert uploads(again) == ["live" if outcome == "passed" else "refused"]
    assert again.versions("weather") == (["1.0"] if outcome == "passed" else [])
    if outcome == "failed":
        newest = server.client.get("/api/v1/events", params={"subject": "weather"}).json()[0]
        assert (newest["action"], "it pays all" in newest["detail"]["reason"]) == ("refuse", True)
        assert problem(claw(server.owner, files, "1.0")) == (422, "check")


def test_a_release_that_could_not_go_live_when_it_was_judged_does_so_later(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The witnesses of the log may be away, or the disk full, and its client does not ask again."""
    monkeypatch.setattr(lister, "_HOUR", 0.02)
    answered, refused = threading.Event(), threading.Event()

    def judge(*_: Any) -> tuple[str, dict[str, Any]]:
        answered.wait(20)
        return "passed", {}

    monkeypatch.setattr(Gate, "_judged", judge)
    server = serve(gate=300)
    registry = type(server.services.registry)
    add = registry.add

    def refuse_once(own: Any, *arguments: Any) -> bool:
        if not refused.is_set():
            refused.set()
            raise StorageError("the witnesses are away")
        return add(own, *arguments)

    monkeypatch.setattr(registry, "add", refuse_once)
    files = {path: text.encode() for path, text in verified(skill_files("weather"), "return []").items()}
    assert claw(server.owner, files, "1.0").json()["publicationStatus"] == "pending"
    answered.set()
    end = time.monotonic() + 20
    while uploads(server) != ["live"] and time.monotonic() < end:
        time.sleep(0.01)
    assert refused.is_set() and server.versions("weather") == ["1.0"]


@pytest.mark.slow
def test_a_verifier_that_keeps_its_promises_goes_live_with_the_report_of_the_server(
    serve: Callable[..., Server],
) -> None:
    server = serve(gate=300)
    files = verified(skill_files("demo"), "return [attempt.verdict for attempt in attempts]")

    assert asked_until_judged(server.owner, *parcel(files)).status_code == 201
    with server.services.database.reading() as session:
        row = session.query(GateReport).one()
    assert row.outcome == "passed"
    assert sum(claim["checked"] for claim in row.report["claims"]) > 100
    page = server.client.get("/skill/demo").text
    assert "This registry has itself tried to fool the verifier" in page
    assert "SK721" in page


BAD = {
    "pays all": "return [Verdict(status='passed', score=1.0) for _ in attempts]",
    "reads the database": "open({place!r}).read(); return [attempt.verdict for attempt in attempts]",
    "floods": "print('x' * 10_000_000); import sys; sys.stderr.write('y' * 10_000_000); 1 / 0",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BAD)
def test_a_verifier_that_can_be_fooled_never_goes_live(serve: Callable[..., Server], kind: str) -> None:
    server = serve(gate=300)
    body = BAD[kind].replace("{place!r}", repr(str(server.root / ".server/registry.sqlite3")))

    refused = asked_until_judged(server.owner, *parcel(verified(skill_files("demo"), body)))

    assert problem(refused) == (422, "check")
    assert "the verifier gate of this registry refuses it" in refused.json()["detail"]
    assert refused.json()["details"]["findings"]
    assert server.versions("demo") == []


@pytest.mark.slow
def test_a_verifier_that_hangs_is_ended_and_may_be_judged_again(serve: Callable[..., Server]) -> None:
    server = serve(gate=10)
    files = verified(skill_files("demo"), "while True: pass", "verifier: {seconds: 60}\n")
    wish, archive = parcel(files)

    for _ in range(2):
        started = time.monotonic()
        refused = asked_until_judged(server.owner, wish, archive)
        assert problem(refused) == (422, "check")
        assert "it took longer than 10 s" in refused.json()["detail"]
        assert time.monotonic() - started > 9
    assert server.versions("demo") == []
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"skillpm-gate-" in _read(path)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
