"""The downloads of a registry: what counts as one, and what a page says of them."""

from __future__ import annotations

import re

from tests.registry.conftest import Server
from tests.shop import skill_files


def test_downloads_are_counted_by_release_and_day_without_addresses(server: Server) -> None:
    for version in ("1.0", "2.0"):
        server.owner.publish(skill_files("demo", version))
    one, two = (item["archive"] for item in server.client.get("/skills/demo.json").json()["releases"])
    address = f"/archives/{one[:2]}/{one[2:]}.tar.gz"
    for headers in ({}, {}, {"Range": "bytes=0-1"}):
        server.client.get(address, headers=headers)
    server.client.head(address)
    server.client.get(address, headers={"If-None-Match": server.client.get(address).headers["etag"]})
    server.client.get("/clawhub/api/v1/download", params={"slug": "demo"})
    server.services.downloads.write()

    assert server.services.downloads.totals([one, two]) == {one: 3, two: 1}
    assert server.services.downloads.days([one, two])[-2:] == [0, 4]
    text = server.client.get("/skill/demo").text
    assert re.findall(r'<td class="number">([0-9]+)</td>', text) == ["1", "3"]
    assert "1 in the week to" not in text
    assert "4 in the week to" in text
