"""The life of a release after its publication: yank, quarantine, status, reports."""

from __future__ import annotations

import pytest

from tests.registry.conftest import Person, Server, problem
from tests.shop import skill_files

API_ONLY = True
DEMO = {"name": "demo", "version": "1.0"}


@pytest.fixture
def ana(server: Server) -> Person:
    """The owner of ``demo`` 1.0."""
    ana = server.person("ana")
    ana.publish(skill_files("demo"))
    return ana


def test_a_publisher_yanks_and_admits_again(server: Server, ana: Person) -> None:
    assert ana.ask("POST", "releases/yank", {**DEMO, "reason": "loses data"}).json() == {"changed": True}
    assert ana.ask("POST", "releases/yank", {**DEMO, "reason": "loses data"}).json() == {"changed": False}
    assert server.client.get("/skills/demo.json").json()["releases"][0]["yanked"] == "loses data"
    assert ana.ask("POST", "releases/yank", DEMO).json() == {"changed": True}
    assert server.client.get("/skills/demo.json").json()["releases"][0]["yanked"] is False

    assert problem(server.person("eve").ask("POST", "releases/yank", {**DEMO, "reason": "x"}))[0] == 403
    missing = ana.ask("POST", "releases/yank", {"name": "demo", "version": "9.9", "reason": "x"})
    assert problem(missing) == (404, "registry")
    assert str(server.root) not in missing.text
    assert problem(ana.ask("POST", "releases/yank", {**DEMO, "reason": " "})) == (422, "usage")


def test_quarantine_is_for_owners_of_the_registry(server: Server, ana: Person) -> None:
    assert problem(ana.ask("POST", "releases/quarantine", {**DEMO, "reason": "x"}))[0] == 403
    assert server.owner.ask("POST", "releases/quarantine", {**DEMO, "reason": "stolen key"}).json() == {"changed": True}
    assert server.client.get("/skills/demo.json").json()["releases"][0]["quarantined"] == "stolen key"


def test_the_status_of_a_skill_is_in_its_page_and_survives_a_release(server: Server, ana: Person) -> None:
    change = {"name": "demo", "status": "deprecated", "reason": "use next"}
    assert ana.ask("POST", "skills/status", change).json() == {"changed": True}
    assert ana.ask("POST", "skills/status", change).json() == {"changed": False}
    ana.publish(skill_files("demo", "2.0"))
    page = server.client.get("/skills/demo.json").json()
    assert (page["status"], page["reason"], len(page["releases"])) == ("deprecated", "use next", 2)
    assert ana.ask("POST", "skills/status", {"name": "demo", "status": "active"}).json() == {"changed": True}
    assert problem(ana.ask("POST", "skills/status", {"name": "demo", "status": "archived"})) == (422, "usage")


def test_anybody_reports_and_the_owners_of_the_registry_answer(server: Server, ana: Person) -> None:
    finding = {"rule": "SK611", "file": "run.sh", "line": 3}
    nobody = Person(server.client, "")
    made = nobody.ask("POST", "reports", {**DEMO, "reason": "sends files away", "findings": [finding]})
    assert made.status_code == 201
    number = made.json()["id"]

    assert problem(nobody.ask("POST", "reports", {"name": "demo", "version": "2", "reason": "x"}))[0] == 404
    answer = {"state": "accepted", "answer": "in quarantine now"}
    assert problem(ana.ask("POST", f"reports/{number}/answer", answer))[0] == 403
    assert server.owner.ask("POST", f"reports/{number}/answer", answer).json()["state"] == "accepted"
    appealed = ana.ask("POST", f"reports/{number}/answer", {"state": "appealed", "answer": "it only counts words"})
    assert appealed.json()["state"] == "appealed"
    (listed,) = server.client.get("/api/v1/reports", params={"name": "demo"}).json()
    assert (listed["findings"], listed["reporter"]) == ([finding], "anonymous")


def test_a_finding_names_a_place_in_a_release(ana: Person) -> None:
    right: list[dict[str, object]] = [
        {"file": "scripts/run.sh", "line": 1_000_000},
        {"rule": "SK611"},
        {"file": "a/..b/.c"},
    ]
    wrong: list[dict[str, object]] = [
        {"file": path} for path in ("/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a\\b", "a\nb")
    ]
    wrong += [{"line": line} for line in (0, -1, 1_000_001, 10**20)]
    for place in right + wrong:
        made = ana.ask("POST", "reports", {**DEMO, "reason": "x", "findings": [place]})
        assert made.status_code == (201 if place in right else 422), place
