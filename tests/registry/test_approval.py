"""A second owner's approval: nothing is visible before it, and no one person is enough."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest
from sqlalchemy import update

from skillpm.errors import StorageError
from skillpm_registry import approval
from skillpm_registry.membership import Role
from skillpm_registry.settling import recover
from skillpm_registry.tables import Upload
from skillpm_registry.uploads import archive_of
from tests.registry.conftest import Person, Server, parcel, problem
from tests.shop import skill_files


@pytest.fixture
def owners(server: Server) -> tuple[Person, Person]:
    """Two owners of ``demo`` 1.0, whose next releases need an approval."""
    ana, ben = server.person("ana"), server.person("ben")
    assert ana.publish(skill_files("demo")).status_code == 201
    assert ana.ask("PUT", "members", {"scope": "demo", "account": "ben", "role": "owner"}).status_code == 200
    assert ana.ask("PUT", "approvals", {"scope": "demo", "needed": True}).json()["needed"] is True
    return ana, ben


def test_a_release_is_live_when_another_owner_has_approved_it(server: Server, owners: tuple[Person, Person]) -> None:
    ana, ben = owners
    announced = ana.publish(skill_files("demo", "2.0"))
    number = announced.json()["id"]
    assert (announced.status_code, announced.json()["state"]) == (202, "waiting")
    assert ana.publish(skill_files("demo", "2.0")).json()["id"] == number  # it waits already

    assert server.versions("demo") == ["1.0"]
    assert problem(ana.ask("POST", f"approvals/{number}", {"approve": True})) == (403, "own-release")
    (waiting,) = ben.ask("GET", "approvals").json()
    assert (waiting["id"], waiting["account"], waiting["version"]) == (number, "ana", "2.0")
    assert ben.ask("POST", f"approvals/{number}", {"approve": True}).json()["state"] == "live"

    assert server.versions("demo") == ["1.0", "2.0"]
    assert ben.ask("GET", "approvals").json() == []
    newest = server.client.get("/api/v1/events", params={"subject": "demo"}).json()[0]
    assert (newest["actor"], newest["action"], newest["detail"]["approved_by"]) == ("ana", "publish", "ben")
    text = server.client.get("/events?subject=demo").text
    assert "approved by ben" in text
    assert "changed the approval of" in text


def test_a_refused_release_never_goes_live(server: Server, owners: tuple[Person, Person]) -> None:
    ana, ben = owners
    number = ana.publish(skill_files("demo", "2.0")).json()["id"]
    refused = ben.ask("POST", f"approvals/{number}", {"approve": False, "reason": "not reviewed"})
    assert refused.json()["state"] == "refused"

    for person in owners:
        assert problem(person.ask("POST", f"approvals/{number}", {"approve": True})) == (404, "unknown-upload")
    assert ana.ask("POST", f"uploads/{number}/publish").json()["state"] == "refused"
    assert server.versions("demo") == ["1.0"]
    assert not list((server.root / ".server/uploads").iterdir())
    assert "refused" in server.client.get("/events?subject=demo").text


def test_who_owns_nothing_here_neither_sees_nor_decides(server: Server, owners: tuple[Person, Person]) -> None:
    ana, _ = owners
    number = ana.publish(skill_files("demo", "2.0")).json()["id"]
    eve, reader = server.person("eve"), server.person("kim", Role.READER)
    ana.ask("PUT", "members", {"scope": "demo", "account": "kim", "role": "publisher"})

    for person in (eve, reader):
        assert person.ask("GET", "approvals").json() == []
        assert problem(person.ask("POST", f"approvals/{number}", {"approve": True})) == (404, "unknown-upload")
        assert problem(person.ask("PUT", "approvals", {"scope": "demo", "needed": False}))[0] == 403
    for scope in ("*", "../x", "a/b"):
        wrong = ana.ask("PUT", "approvals", {"scope": scope, "needed": True})
        assert problem(wrong) == (422, "invalid-scope")


def test_an_owner_cannot_end_what_controls_the_owners(server: Server, owners: tuple[Person, Person]) -> None:
    ana, _ = owners
    assert problem(ana.ask("PUT", "approvals", {"scope": "demo", "needed": False})) == (403, "not-a-member")
    assert server.owner.ask("PUT", "approvals", {"scope": "demo", "needed": False}).status_code == 200


def test_a_waiting_release_survives_a_restart(server: Server, owners: tuple[Person, Person]) -> None:
    ana, ben = owners
    number = ana.publish(skill_files("demo", "2.0")).json()["id"]
    recover(server.services)
    assert server.versions("demo") == ["1.0"]
    assert ben.ask("POST", f"approvals/{number}", {"approve": True}).json()["state"] == "live"


def test_the_page_shows_an_owner_what_would_change_and_nobody_else(
    server: Server, owners: tuple[Person, Person]
) -> None:
    ana, ben = owners
    number = ana.publish(skill_files("demo", "2.0", body="<b>Other</b> text.\n")).json()["id"]

    def see(path: str, person: Person | None) -> tuple[int, str]:
        login = base64.b64encode(f"x:{person.token}".encode()).decode() if person else ""
        answer = server.client.get(path, headers={"Authorization": f"Basic {login}"} if person else {})
        return answer.status_code, answer.text

    assert see("/approvals", None)[0] == 401
    assert server.client.get("/approvals").headers["www-authenticate"].startswith("Basic ")  # all that Chromium reads
    assert "No release waits for you." in see("/approvals", server.person("eve"))[1]
    assert f'href="/approvals/{number}">demo</a>' in see("/approvals", ben)[1]
    status, text = see(f"/approvals/{number}", ben)
    assert (status, "Changes since 1.0" in text, f"skillpm registry approve {number}" in text) == (200, True, True)
    assert "&lt;b&gt;Other&lt;/b&gt; text." in text
    assert see(f"/approvals/{number}", server.person("kim"))[0] == 404
    assert see("/approvals/..%2fx", ben)[0] == 404


@pytest.mark.parametrize("approves", [True, False])
def test_of_two_decisions_at_once_the_first_counts(
    server: Server, owners: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch, approves: bool
) -> None:
    ana, ben = owners
    number = ana.publish(skill_files("demo", "2.0")).json()["id"]
    registry, adding, goes_on = type(server.services.registry), threading.Event(), threading.Event()
    add = registry.add

    def slow(*arguments: Any) -> bool:
        adding.set()
        assert goes_on.wait(20)
        return add(*arguments)

    monkeypatch.setattr(registry, "add", slow)
    answers: list[Any] = []
    first = threading.Thread(target=lambda: answers.append(ben.ask("POST", f"approvals/{number}", {"approve": True})))
    first.start()
    assert adding.wait(20)
    second = server.owner if approves else ben
    late = second.ask("POST", f"approvals/{number}", {"approve": approves, "reason": "no"})
    busy = ana.ask("POST", f"uploads/{number}/publish")
    goes_on.set()
    first.join()

    assert problem(late) == (409, "decided")
    assert problem(busy) == (503, "busy")
    assert answers[0].json()["state"] == "live"
    assert server.versions("demo") == ["1.0", "2.0"]
    assert "refused" not in server.client.get("/events?subject=demo").text


def test_a_decision_on_what_was_read_before_another_one_changes_nothing(
    server: Server, owners: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another owner refuses between the moment where an approval looks at the release and where it claims it."""
    ana, ben = owners
    number = ana.publish(skill_files("demo", "2.0")).json()["id"]
    look = approval.waiting_one

    def late(*arguments: Any) -> Any:
        seen = look(*arguments)
        monkeypatch.undo()
        assert server.owner.ask("POST", f"approvals/{number}", {"approve": False, "reason": "no"}).status_code == 200
        return seen

    monkeypatch.setattr(approval, "waiting_one", late)
    assert problem(ben.ask("POST", f"approvals/{number}", {"approve": True})) == (409, "decided")
    assert ana.ask("POST", f"uploads/{number}/publish").json()["state"] == "refused"
    assert server.versions("demo") == ["1.0"]


def test_a_release_that_could_not_go_live_waits_again(
    server: Server, owners: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, ben = owners
    number = ana.publish(skill_files("demo", "2.0")).json()["id"]

    def fail(*_: Any, **options: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(type(server.services.registry), "write", fail)
    assert problem(ben.ask("POST", f"approvals/{number}", {"approve": True})) == (503, "storage")
    monkeypatch.undo()
    with server.services.database.writing() as session:  # as if the server had been killed in the middle of it
        session.execute(update(Upload).where(Upload.state == "waiting").values(state="publishing"))
    recover(server.services)
    assert ben.ask("POST", f"approvals/{number}", {"approve": True}).json()["state"] == "live"


def test_a_waiting_release_whose_archive_is_lost_can_only_be_refused(
    server: Server, owners: tuple[Person, Person]
) -> None:
    ana, ben = owners
    number = ana.publish(skill_files("demo", "2.0")).json()["id"]
    archive_of(server.services, number).unlink()

    assert problem(ben.ask("POST", f"approvals/{number}", {"approve": True})) == (409, "archive-lost")
    login = {"Authorization": f"Bearer {ben.token}"}
    assert server.client.get(f"/approvals/{number}", headers=login).status_code == 409
    assert ana.ask("POST", f"approvals/{number}", {"approve": False, "reason": "lost"}).json()["state"] == "refused"
    assert ana.publish(skill_files("demo", "2.0")).status_code == 202


def test_what_waits_is_not_given_to_another_account_that_announces_it(
    server: Server, owners: tuple[Person, Person]
) -> None:
    ana, ben = owners
    ana.publish(skill_files("demo", "2.0"))
    answer = ben.publish(skill_files("demo", "2.0"))
    assert problem(answer) == (409, "waits-already")
    assert "waits for an approval" in answer.json()["detail"]


def test_an_owner_sees_every_file_and_what_the_publisher_lets_pass(
    server: Server, owners: tuple[Person, Person]
) -> None:
    ana, ben = owners
    files = {**skill_files("demo", "2.0"), "long.txt": "line\n" * 4000 + "the last one\n"}
    number = ana.publish(files, allow=["SK411"]).json()["id"]
    login = {"Authorization": f"Bearer {ben.token}"}

    assert ben.ask("GET", "approvals").json()[0]["allow"] == ["SK411"]
    text = server.client.get(f"/approvals/{number}", headers=login).text
    assert "<code>SK411</code>" in text
    assert f'href="/approvals/{number}/files/long.txt"' in text
    assert "the last one" in server.client.get(f"/approvals/{number}/files/long.txt", headers=login).text
    assert server.client.get(f"/approvals/{number}/archive", headers=login).content == parcel(files)[1]
    for path in ("files/other.txt", "files/../x"):
        assert server.client.get(f"/approvals/{number}/{path}", headers=login).status_code == 404
    for part in ("archive", "files/long.txt"):
        assert server.client.get(f"/approvals/{number}/{part}").status_code == 401
        eve = {"Authorization": f"Bearer {ana.token[:-1]}"}
        assert server.client.get(f"/approvals/{number}/{part}", headers=eve).status_code == 401
