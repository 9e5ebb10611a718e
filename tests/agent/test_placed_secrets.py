"""What a session shows is masked where a secret stands, however weak it looks, encoded or broken; words are kept."""

from __future__ import annotations

import time
from base64 import b64encode

import pytest

from skillpm.agent.shown import masked

WEAK = "h7Gk2pQ9zX"
TOKEN = "ghp_9aB3xK7LmQ2rT5vW8yZ1cD4fG6hJ0kN2pS4u"
PLACES = [
    f"postgresql://ada:{WEAK}@db:5432/app",
    f"https://{TOKEN[4:34]}@host/x.git",
    f"Server=db;User Id=sa;Password={WEAK};",
    f"jdbc:mysql://db/x?user=root&password={WEAK}",
    f"Cookie: theme=dark; sid={WEAK}",
    f"Set-Cookie: sid={WEAK}; HttpOnly",
    f"Authorization: token {WEAK}",
    f"curl -H 'PRIVATE-TOKEN: {WEAK}' https://x",
    f"curl -u ada:{WEAK} https://x",
    f"mysql -uroot -p{WEAK} db",
    f"sshpass -p {WEAK} ssh ada@h",
    f"wget --password={WEAK} https://x",
    f"docker login -u ada -p {WEAK} reg.example.org",
    f"PGPASSWORD={WEAK} psql",
    f"machine h login ada password {WEAK}",
    f'{{"password": "{WEAK}"}}',
    f"password: {WEAK}",
    f"root:$6${WEAK}$7nL4pT6wY3hR5jD0:19000:",
    f"https://x.blob.example.net/c?sv=2022&sig={WEAK}9fK2mZ8x",
    f"aws_secret_access_key = {WEAK}/{WEAK}/key",
    f"gpg --batch --passphrase {WEAK} -c f",
    f"openssl enc -aes-256-cbc -pass pass:{WEAK} -in f",
    f"keytool -storepass {WEAK} -list",
    f"htpasswd -b users ada {WEAK}",
    f"zip -P {WEAK} a.zip f",
    f"7z x -p{WEAK} a.7z",
    f"redis-cli -a {WEAK} ping",
    f"echo '{WEAK}' | docker login -u ada --password-stdin",
    f"curl -b 'sid={WEAK}' https://x",
    f"aws configure set aws_secret_access_key {WEAK}{WEAK}",
    f"the password is {WEAK}, use it",
    f"sk-proj-{WEAK}{WEAK}{WEAK}",
    f"github_pat_11{WEAK}{WEAK}_{WEAK}",
    f"Private-Lines: 1\nAAAAIHk9vZ2m{WEAK}TfLp6WbQ1d",
]
FORMS = {
    "base64": b64encode(f"export T={TOKEN}".encode()).decode(),
    "a line break": f"{TOKEN[:20]}\n{TOKEN[20:]}",
    "a continued line": f"{TOKEN[:20]}\\\n{TOKEN[20:]}",
    "two quoted parts": f'"{TOKEN[:20]}" + "{TOKEN[20:]}"',
    "an invisible mark": f"{TOKEN[:20]}\u200b{TOKEN[20:]}",
    "an escape of an address": TOKEN.replace("_", "%5F"),
    "an escape of JSON": TOKEN.replace("_", "\\u005f"),
}
WORDS = [
    "PWD=/home/ada1",
    "max_tokens=4096",
    "password: required",
    "PASSWORD=$SECRET_1",
    "docker run -u 1000:1000 image",
    "docker login && docker run -p 8080:80 image",
    "grep -n 'token' src",
    "http://localhost:8080/x@2",
    "git@github.com:a/b.git",
    "mysql -u root -p db",
    "secret santa: 5 people",
    "ffmpeg -i a.mp4 -pass 1 -f null out",
    "openssl rsa -passin env:KEY_PASS -in k1.pem",
    "unzip -p a.zip f1",
    "the key is on the table, and the token is gone",
    "tar -b 20 -cf a.tar x=1",
    "echo hello | tee log1",
    "a two-pass road1 and a multi-token model7b",
]


@pytest.mark.parametrize("text", PLACES)
def test_what_stands_where_a_secret_stands_is_masked(text: str) -> None:
    hidden = masked(text)
    assert WEAK not in hidden and TOKEN[4:34] not in hidden
    assert masked(f"before\n{text}\nafter") == f"before\n{hidden}\nafter"


@pytest.mark.parametrize("form", FORMS)
def test_a_token_is_masked_in_every_form(form: str) -> None:
    hidden = masked(f"before {FORMS[form]} after")
    assert TOKEN[20:] not in hidden.replace("\\", "") and TOKEN[4:20] not in hidden
    assert hidden.startswith("before ") and hidden.endswith(" after")


@pytest.mark.parametrize("text", WORDS)
def test_words_about_secrets_are_kept(text: str) -> None:
    assert masked(text) == text


def test_a_long_text_is_masked_in_linear_time() -> None:
    for piece in (
        "mysql x ",
        "login a ",
        "htpasswd -b ",
        "zip x ",
        "echo aaaa | ",
        "key is 1a",
        "sk-a1A",
        "token aaaa1 ",
        "password=",
        "://a:b",
        "A" * 60 + "\n",
        "token:1a",
        "Private-Lines: 1 AAAA",
    ):
        seconds = []
        for times in (20_000, 80_000):
            start = time.process_time()
            masked(piece * (times // 8))
            seconds.append(time.process_time() - start)
        assert seconds[1] < 8 * seconds[0] + 0.5, piece
