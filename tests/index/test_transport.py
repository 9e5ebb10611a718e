"""Servers that are slow, broken or hostile: an answer within bounds or an error that names the address."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import IntegrityError, RegistryError, UsageError
from skillpm.index.connections import proxy_for
from skillpm.index.credentials import Credentials, token_variable
from skillpm.index.http import cached_get
from skillpm.index.page_cache import PageCache
from skillpm.index.transport import Patience, Transport, followed
from tests.servers import Handler, Shop, answering, in_the_future, serving

BODY = bytes(range(256)) * 4000


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "www").mkdir()
    (tmp_path / "www/file").write_bytes(BODY)
    with serving(tmp_path / "www") as shop:
        yield shop


@pytest.fixture
def waits() -> list[float]:
    """The pauses that a transport has made."""
    return []


@pytest.fixture
def transport(waits: list[float]) -> Transport:
    return Transport(Credentials({}), patience=Patience(idle=2, whole=3, sleep=waits.append), environment={})


def in_turn(*answers: Any) -> Any:
    """Give one answer after the other, then serve."""
    left = list(answers)
    return lambda handler: left.pop(0)(handler) if left else False


@pytest.mark.attack(61)
def test_a_cut_download_is_continued_under_the_same_etag(shop: Shop, transport: Transport) -> None:
    etag = f'"{hashlib.sha256(BODY).hexdigest()[:16]}"'
    shop.answers["/file"] = in_turn(answering(200, BODY[:500_000], length=len(BODY), ETag=etag))
    assert transport.download(f"{shop.url}/file", limit=2 << 20, size=len(BODY)) == BODY
    (_, first), (_, second) = shop.seen
    assert "Range" not in first
    assert 0 < int(second["Range"].removeprefix("bytes=").rstrip("-")) <= 500_000
    assert second["If-Range"] == etag


@pytest.mark.attack(61)
@pytest.mark.parametrize(
    "second",
    [
        answering(206, BODY[500_000:], ETag='"other"', Content_Range=f"bytes 500000-{len(BODY) - 1}/{len(BODY)}"),
        answering(206, BODY[400_000:], ETag='"one"', Content_Range=f"bytes 400000-{len(BODY) - 1}/{len(BODY)}"),
        answering(206, BODY[500_000:], ETag='"one"'),
        answering(416),
    ],
    ids=["another ETag", "another offset", "no offset", "out of range"],
)
def test_what_does_not_continue_the_same_bytes_is_begun_anew(shop: Shop, transport: Transport, second: Any) -> None:
    shop.answers["/file"] = in_turn(answering(200, b"x" * 500_000, length=len(BODY), ETag='"one"'), second)
    assert transport.download(f"{shop.url}/file", limit=2 << 20, size=len(BODY)) == BODY
    assert "Range" not in shop.seen[-1][1]


@pytest.mark.attack(61)
@pytest.mark.parametrize("etag", [{}, {"ETag": 'W/"weak"'}])
def test_without_a_strong_etag_nothing_is_continued(shop: Shop, transport: Transport, etag: dict[str, str]) -> None:
    shop.answers["/file"] = in_turn(answering(200, BODY[:500_000], length=len(BODY), **etag))
    assert transport.download(f"{shop.url}/file", limit=2 << 20, size=len(BODY)) == BODY
    assert all("Range" not in headers for _, headers in shop.seen)


@pytest.mark.attack(63)
def test_a_download_that_is_always_cut_ends_with_an_error(shop: Shop, transport: Transport, waits: list[float]) -> None:
    shop.answers["/file"] = answering(200, BODY[:1000], length=len(BODY), ETag='"one"')
    with pytest.raises(RegistryError, match=r"cannot be used"):
        transport.download(f"{shop.url}/file", limit=2 << 20)
    assert shop.asked("/file") == 4
    assert len(waits) == 3
    with pytest.raises(RegistryError):
        transport.download(f"{shop.url}/other", limit=10)
    assert shop.asked("/other") == 0, "a host that gives nothing is not asked again and again"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answering(404), "404"),
        (answering(418), "418"),
        (answering(401), "SKILLPM_TOKEN_127_0_0_1_"),
        (answering(302), "leads to"),
        (answering(302, Location="file:///etc/passwd"), "leads to"),
        (answering(302, Location="https://me:secret@example.org/"), "leads to"),
        (answering(302, Location="/file"), "redirects more than"),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(shop: Shop, transport: Transport, answer: Any, words: str) -> None:
    shop.answers["/file"] = answer
    with pytest.raises(RegistryError) as caught:
        transport.download(f"{shop.url}/file", limit=100_000, size=100)
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answering(200, BODY), "is too long: its page says 100 bytes"),
        (answering(200, b"x", length=1 << 40), "is too long: its page says 100 bytes"),
        (answering(200, b"x" * 50), "is too short: it has 50 of 100 bytes"),
    ],
)
def test_an_archive_of_another_length_than_its_page_says_is_not_what_was_published(
    shop: Shop, transport: Transport, answer: Any, words: str
) -> None:
    shop.answers["/file"] = answer
    with pytest.raises(IntegrityError, match=words):
        transport.download(f"{shop.url}/file", limit=100_000, size=100)


def test_a_body_without_an_announced_length_is_stopped_at_the_limit(shop: Shop, transport: Transport) -> None:
    sent: list[int] = []

    def endless(handler: Handler) -> bool:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            while len(sent) < 10_000:
                sent.append(handler.wfile.write(b"x" * 65536))
        return True

    shop.answers["/file"] = endless
    with pytest.raises(RegistryError, match="more than the allowed"):
        transport.download(f"{shop.url}/file", limit=1 << 20)
    assert sum(sent) < 64 << 20


def test_a_compressed_bomb_is_stopped_at_the_limit(shop: Shop, transport: Transport) -> None:
    shop.answers["/page"] = answering(200, gzip.compress(b"0" * (64 << 20)), Content_Encoding="gzip")
    with pytest.raises(RegistryError, match="more than the allowed"):
        transport.get(f"{shop.url}/page", limit=1 << 20)


def test_an_archive_that_a_server_calls_an_encoding_is_taken_as_it_lies(shop: Shop, transport: Transport) -> None:
    data = gzip.compress(b"a tar")
    shop.answers["/x.tar.gz"] = answering(200, data, Content_Encoding="gzip")
    assert transport.download(f"{shop.url}/x.tar.gz", limit=1000) == data


def test_a_drop_at_a_time_is_not_waited_for_without_end(shop: Shop, transport: Transport) -> None:
    over = threading.Event()

    def drip(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        try:
            while not over.wait(0.05):
                handler.wfile.write(b"x")
        except OSError:
            pass
        handler.close_connection = True
        return True

    shop.answers["/file"] = drip
    start = time.monotonic()
    with pytest.raises(RegistryError, match="seconds"):
        transport.download(f"{shop.url}/file", limit=1000)
    over.set()
    assert time.monotonic() - start < 30


@pytest.mark.attack(63)
@pytest.mark.parametrize(("after", "least", "most"), [(lambda: "2", 2, 2), (lambda: in_the_future(25), 5, 26)])
def test_a_busy_server_is_waited_for_as_it_asks(
    shop: Shop, transport: Transport, waits: list[float], after: Any, least: float, most: float
) -> None:
    shop.answers["/file"] = in_turn(answering(429, Retry_After=after()), answering(503, Retry_After=after()))
    assert transport.get(f"{shop.url}/file", limit=2 << 20).body == BODY
    assert len([wait for wait in waits if least <= wait <= most]) == 2


def test_a_server_that_stays_busy_and_says_why_is_heard(shop: Shop, transport: Transport) -> None:
    why = b'{"detail": "it waits for a witness"}'
    shop.answers["/why"] = answering(503, why, Content_Type="application/problem+json")
    shop.answers["/busy"] = answering(503, why)
    answer = transport.send("GET", f"{shop.url}/why")
    assert (answer.status, answer.body) == (503, why)
    assert len(shop.seen) == Patience().tries
    with pytest.raises(RegistryError, match="it answers 503"):
        transport.send("GET", f"{shop.url}/busy")


@pytest.mark.attack(63)
def test_a_server_that_asks_for_too_much_patience_is_left(shop: Shop, transport: Transport, waits: list[float]) -> None:
    shop.answers["/file"] = answering(503, Retry_After="86400")
    with pytest.raises(RegistryError, match="86400 seconds"):
        transport.get(f"{shop.url}/file", limit=100)
    assert waits == []


@pytest.mark.attack(46)
@pytest.mark.parametrize(
    ("place", "location", "allowed"),
    [
        ("https://example.org/a", "http://example.org/a", False),
        ("https://example.org/a", "https://cdn.example.net/b", True),
        ("https://example.org/a", "/b", True),
        ("https://example.org/a", "https://169.254.169.254/latest", False),
        ("https://example.org/a", "https://127.0.0.1/x", False),
        ("https://example.org/a", "https://[::1]/x", False),
        ("https://example.org/a", "https://localhost/x", False),
        ("https://example.org/a", "ftp://example.org/x", False),
        ("https://example.org/a", "https://me:secret@example.org/x", False),
        ("https://example.org/a", "", False),
        ("https://example.org/a", "https://example.org:99999/x", False),
        ("https://example.org/a", "https://example.org:0/x", False),
        ("https://example.org/a", "https://[::1/x", False),
        ("http://10.0.0.1/a", "http://10.0.0.2/a", True),
        ("http://example.org/a", "https://example.org/a", True),
    ],
)
def test_redirects_stay_where_it_is_as_safe_as_before(place: str, location: str, allowed: bool) -> None:
    if allowed:
        assert followed(place, location).startswith("http")
    else:
        with pytest.raises(RegistryError):
            followed(place, location)


@pytest.mark.attack(46)
def test_a_secret_goes_to_its_own_host_and_not_along_with_a_redirect(tmp_path: Path, shop: Shop) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_bytes(b"theirs")
    with serving(tmp_path / "other") as other:
        shop.answers["/file"] = answering(302, Location=f"{other.url}/file")
        asking = Transport(Credentials({token_variable(shop.url): "s3cret"}), environment={})
        assert asking.download(f"{shop.url}/file", limit=100) == b"theirs"
        assert shop.seen[0][1]["Authorization"] == "Bearer s3cret"
        assert "Authorization" not in other.seen[0][1]


def test_a_login_of_netrc_is_used_for_its_host(tmp_path: Path, shop: Shop) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\nmachine x login y password z\n")
    (tmp_path / "netrc").chmod(0o600)
    Transport(Credentials({"NETRC": str(tmp_path / "netrc")}), environment={}).get(f"{shop.url}/file", limit=2 << 20)
    assert shop.seen[0][1]["Authorization"] == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("https://skills.example.org/x", "SKILLPM_TOKEN_SKILLS_EXAMPLE_ORG"),
        ("https://a-b.org", "SKILLPM_TOKEN_A__B_ORG"),
        ("https://a.b.org:443", "SKILLPM_TOKEN_A_B_ORG"),
        ("https://a.b.org:8443", "SKILLPM_TOKEN_A_B_ORG_8443"),
    ],
)
def test_a_token_s_variable_names_one_host(url: str, variable: str) -> None:
    assert token_variable(url) == variable
    assert Credentials({variable: "x", "HOME": "/"}).header(url) == "Bearer x"


def test_a_secret_is_never_sent_in_the_clear(tmp_path: Path) -> None:
    given = Credentials({"SKILLPM_TOKEN_EXAMPLE_ORG": "x", "HOME": str(tmp_path)})
    assert given.header("https://example.org") == "Bearer x"
    assert given.header("https://example.net") is None
    with pytest.raises(UsageError, match="unencrypted"):
        given.header("http://example.org")
    with pytest.raises(UsageError) as caught:
        Credentials({"SKILLPM_TOKEN_EXAMPLE_ORG": "s3cret\nX: y", "HOME": str(tmp_path)}).header("https://example.org")
    assert "s3cret" not in caught.value.message


@pytest.mark.attack(64)
def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, transport: Transport) -> None:
    (tmp_path / "www").mkdir()
    with serving(tmp_path / "www", tls=True) as shop, pytest.raises(RegistryError, match="certificate") as caught:
        transport.get(f"{shop.url}/x", limit=10)
    assert "certificate" in str(caught.value.hint)
    assert shop.seen == []


def test_a_failure_of_tls_is_told_in_words(tmp_path: Path, transport: Transport) -> None:
    (tmp_path / "www").mkdir()
    with serving(tmp_path / "www") as plain, pytest.raises(RegistryError, match=r"the server does not speak TLS$"):
        transport.get(f"{plain.url.replace('http:', 'https:')}/x", limit=10)
    with serving(tmp_path / "www", tls=True) as shop, pytest.raises(RegistryError) as caught:
        transport.get(f"{shop.url}/x", limit=10)
    assert "_ssl" not in caught.value.message and "]" not in caught.value.message


def test_a_page_is_asked_for_again_by_its_etag_and_offline_not_at_all(
    shop: Shop, transport: Transport, tmp_path: Path
) -> None:
    url, cache = f"{shop.url}/file", PageCache(tmp_path / "cache")
    assert cached_get(url, transport, cache) == BODY
    assert cached_get(url, transport, cache) == BODY
    assert "If-None-Match" in shop.seen[1][1]
    away = Transport(Credentials({}), offline=True)
    assert cached_get(url, away, cache) == BODY
    assert shop.asked("/file") == 2
    with pytest.raises(RegistryError, match="--offline"):
        cached_get(f"{shop.url}/unknown", away, cache)
    (shop.root / "file").write_bytes(b"new")
    assert cached_get(url, transport, cache) == b"new"


def test_a_server_says_how_long_a_page_may_be_kept(shop: Shop, transport: Transport, tmp_path: Path) -> None:
    cache = PageCache(tmp_path / "cache")
    for path, control in (("/a", "public, max-age=60"), ("/b", "no-cache, max-age=60"), ("/c", "no-store")):
        shop.answers[path] = answering(200, b"page", Cache_Control=control, ETag='"x"')
        for _ in range(2):
            assert cached_get(shop.url + path, transport, cache) == b"page"
    assert [shop.asked(path) for path in ("/a", "/b", "/c")] == [1, 2, 2]
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_damaged_page_in_the_cache_is_as_good_as_none(shop: Shop, transport: Transport, tmp_path: Path) -> None:
    url, cache = f"{shop.url}/file", PageCache(tmp_path / "cache")
    cached_get(url, transport, cache)
    (kept,) = (tmp_path / "cache").iterdir()
    whole = kept.read_bytes()
    for damaged in (b"", b"\n", b"{}\n", b"null\n", whole[:-1], whole[:-1] + b"?", whole.replace(b'"url"', b'"uri"')):
        kept.write_bytes(damaged)
        assert cache.get(url) is None
        assert cached_get(url, transport, cache) == BODY


def test_a_cache_that_cannot_be_written_only_costs_time(shop: Shop, transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    assert cached_get(f"{shop.url}/file", transport, PageCache(tmp_path / "cache")) == BODY


def test_a_proxy_of_the_environment_is_used(shop: Shop) -> None:
    environment = {"http_proxy": shop.url, "no_proxy": "inside.example.org, .lan"}
    through = Transport(Credentials({}), environment=environment)
    shop.answers["http://example.org/x"] = answering(200, b"by proxy")
    assert through.get("http://example.org/x", limit=100).body == b"by proxy"
    assert proxy_for("http://inside.example.org", environment) is None
    assert proxy_for("http://a.lan", environment) is None


@pytest.mark.parametrize(
    ("no_proxy", "url"), [("10.0.0.0/8", "http://10.1.2.3"), ("h:8080", "http://h:8080"), ("H", "http://h"),
                          ("::1", "http://[::1]:9"), ("fd00::/8", "http://[fd00::1]"), ("*", "http://h")],
)  # fmt: skip
def test_a_host_without_a_proxy_is_named_as_other_programs_name_it(no_proxy: str, url: str) -> None:
    environment = {"http_proxy": "proxy:1", "NO_PROXY": f"other, {no_proxy}"}
    assert proxy_for(url, environment) is None
    for outside in ("http://9.1.2.3", "http://oh:80", "http://[2001::1]"):
        assert proxy_for(outside, environment) == (None if no_proxy == "*" else "http://proxy:1")


def test_a_login_of_a_proxy_is_sent_to_it_and_shown_to_nobody(shop: Shop) -> None:
    place = shop.url.removeprefix("http://")
    shop.answers["http://example.org/x"] = lambda handler: answering(
        200 if handler.headers["Proxy-Authorization"] == "Basic bWU6cEBz4oKs" else 407, b"by proxy"
    )(handler)
    through = Transport(Credentials({}), environment={"http_proxy": f"http://me:p%40s%E2%82%AC@{place}"})
    assert through.get("http://example.org/x", limit=100).body == b"by proxy"
    with pytest.raises(RegistryError, match="the proxy of the environment demands a login"):
        Transport(Credentials({}), environment={"http_proxy": shop.url}).get("http://example.org/x", limit=100)


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        (
            "http://me:secret@127.0.0.1:1",
            "example.org cannot be used: the proxy 127.0.0.1:1 of the environment: Conn",
        ),
        ("127.0.0.1:1", "the proxy 127.0.0.1:1 of the environment: Conn"),
        ("socks5://me:secret@h:1", "the proxy h:1 of the environment cannot be used"),
        ("http://[::1", "of the environment cannot be used"),
        ("://", "the proxy of the environment, which names no host, cannot be used"),
        ("http://me:secret@", "the proxy of the environment, which names no host, cannot be used"),
    ],
)
def test_a_proxy_that_fails_is_named_without_its_login(proxy: str, says: str) -> None:
    through = Transport(Credentials({}), patience=Patience(tries=1), environment={"http_proxy": proxy})
    with pytest.raises(RegistryError) as caught:
        through.get("http://example.org/x", limit=100)
    assert says in caught.value.message and "secret" not in caught.value.message


def drips(handler: Handler) -> bool:
    """Send a byte of a header each 0.2 s, for at most 20 s."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
    with contextlib.suppress(OSError):
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.2)
    handler.close_connection = True
    return True


@pytest.mark.parametrize("path", ["/page", "/x.tar.gz"])
def test_headers_that_drip_end_at_the_deadline_of_the_whole_answer(shop: Shop, path: str) -> None:
    shop.answers[path] = drips
    transport = Transport(Credentials({}), patience=Patience(idle=2, whole=1, sleep=lambda _: None), environment={})
    fetch = transport.get if path == "/page" else transport.download
    begin = time.monotonic()
    with pytest.raises(RegistryError, match="took more than 1 seconds"):
        fetch(f"{shop.url}{path}", limit=1 << 20)
    assert time.monotonic() - begin < 8


def test_an_archive_travels_compressed_and_is_what_it_was(shop: Shop, transport: Transport) -> None:
    stored = gzip.compress(b"a tar " * 5000, compresslevel=0, mtime=0)
    sent = gzip.compress(stored)
    assert len(sent) < len(stored) // 10
    shop.answers["/x.tar.gz"] = answering(200, sent, Content_Encoding="gzip", ETag='"one"')
    assert transport.download(f"{shop.url}/x.tar.gz", limit=1 << 20, size=len(stored)) == stored
    assert transport.download(f"{shop.url}/x.tar.gz", limit=1 << 20) == stored
    assert shop.seen[0][1]["Accept-Encoding"] == "gzip"


def test_a_compressed_transfer_that_grows_beyond_the_size_of_its_page_is_refused(
    shop: Shop, transport: Transport
) -> None:
    shop.answers["/x.tar.gz"] = answering(200, gzip.compress(b"0" * (1 << 20)), Content_Encoding="gzip")
    with pytest.raises(IntegrityError, match="its page says 5000"):
        transport.download(f"{shop.url}/x.tar.gz", limit=1 << 20, size=5000)


def test_a_web_page_in_place_of_an_archive_is_called_so(shop: Shop, transport: Transport) -> None:
    shop.answers["/x.tar.gz"] = answering(200, b"<!doctype html><title>Log in</title>")
    with pytest.raises(RegistryError, match="is a web page, not an archive"):
        transport.download(f"{shop.url}/x.tar.gz", limit=1 << 20, size=3095)


def hangs_up(handler: Handler) -> bool:
    handler.close_connection = True
    handler.connection.close()
    return True


def talks_another_protocol(handler: Handler) -> bool:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    handler.close_connection = True
    return True


def is_silent(handler: Handler) -> bool:
    time.sleep(1.5)
    return hangs_up(handler)


@pytest.mark.parametrize("answer", [hangs_up, talks_another_protocol, is_silent, answering(200, b"abc", length=9)])
def test_failures_of_the_network_are_told_in_words(shop: Shop, answer: Any) -> None:
    shop.answers["/page"] = answer
    patience = Patience(idle=0.5, whole=9, tries=1, sleep=lambda _: None)
    with pytest.raises(RegistryError) as caught:
        Transport(Credentials({}), patience=patience, environment={}).get(f"{shop.url}/page", limit=1 << 20)
    reason = caught.value.message.rpartition(": ")[2]
    assert " " in reason and "Error" not in reason and "Incomplete" not in reason, caught.value.message
