"""The metrics: what they count, who reads them, and that nobody's words become labels."""

from __future__ import annotations

from tests.registry.conftest import Person, Server, problem
from tests.shop import skill_files


def metrics(server: Server, person: Person) -> dict[str, float]:
    answer = server.client.get("/metrics", headers={"Authorization": f"Bearer {person.token}"})
    assert answer.status_code == 200, answer.text
    lines = (line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_requests_are_counted_by_route_and_the_registry_by_what_it_holds(server: Server) -> None:
    server.owner.publish(skill_files("demo"))
    for path in ("/skill/demo", "/skill/demo", "/skill/none", "/skills/demo.json", "/../x", "/nothing"):
        server.client.get(path)
    server.client.request("EVIL", "/skill/demo")
    server.client.get("/")  # looks at the folder again

    counted = metrics(server, server.owner)

    shown = 'skillpm_requests_total{method="%s",route="/skill/{place:path}",status="%s"}'
    assert (counted[shown % ("GET", "200")], counted[shown % ("GET", "404")]) == (2, 1)
    assert counted['skillpm_requests_total{method="GET",route="files",status="200"}'] == 1
    assert not [name for name in counted if "EVIL" in name or "demo" in name or "nothing" in name]
    assert counted['skillpm_uploads{state="open"}'] == 0
    assert counted["skillpm_skills"] == 1
    assert counted["process_open_fds"] > 0


def test_metrics_are_for_owners_of_the_registry(server: Server) -> None:
    assert problem(server.client.get("/metrics")) == (401, "unauthorized")
    ana = server.person("ana")
    answer = server.client.get("/metrics", headers={"Authorization": f"Bearer {ana.token}"})
    assert problem(answer) == (403, "not-a-member")
    reads = server.owner.ask("POST", "tokens", {"label": "prometheus", "rights": ["read"]}).json()["token"]
    assert metrics(server, Person(server.client, reads))
