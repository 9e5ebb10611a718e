"""A secret is found by its form, and what documentation writes in its place is not."""

from __future__ import annotations

import time

import pytest

from skillpm.layout.secrets import secrets

# in two halves, so that no scanner of this repository takes them for real
SECRETS = {
    "AKIA" + "Q3EGRZ4T2LMNB7XW": "an AWS access key",
    "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hJ3kL6": "a GitHub token",
    "github_pat_" + "PliIX6meolEmA61eQjOMte_"
    "i1jeZo3JOoJ37hYvAqxEKw9lCTxB03Remu64Yty6bZuzkc97I4XGCIfNQ9r": "a GitHub token",
    "glpat-" + "a8Kd93jfLs02Jfk3LsP0": "a GitLab token",
    "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc": "a Stripe key",
    "AIza" + "Sybxo2Tag1YkWilalO5Vr67B2RmqsKs3U9i": "a Google API key",
    "skp_" + "Zk3x-9QmT_vB7nLw2RfYc8JhD5sGpA1eUoX4iKtM6bN": "a token of a skillpm registry",
    "sk-" + "qXSTs98vPlL2aEJXquQrDs0GPRZwwrPwV81Aw71l33SCx9vH": "an OpenAI key",
    "sk-or-v1-" + "8808c578e541b30e1f10d3de732212e9283c98e990afec4688808c578e541b30": "an OpenRouter key",
    "gsk_" + "RGC7Kw6bjBrKFGI85nJpQkAJYq1usNgmqBw24HqFOTPf90hSXhvg": "a Groq key",
    "ya29." + "JMKlBmuMgPYSvUed8Fi1H9eum2DPy75o5SN1ZE1gamRkhfvjxNWgK": "a Google OAuth token",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJ1c2VyIjoiYTgzamYwIn0.q83jfLs02Jfk3LsP0qPz7Jk2L9mNt": "a signed web token",
    "Authorization: Bearer "
    + "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoiYTgzamYwIn0.q83jfLs02Jfk3LsP0qPz7": "a signed web token",
    "Authorization: Bearer " + "N0kUgrHMkOTjCW8BYBhvuC6oDMBkCdXQ7kIE": "a token of a header",
    "postgres://app:" + "SfZB9KQ4prdFSpd@host/x": "a password of an address",
    "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEowIBAAKCAQEAx8Kd93jfLs02Jfk3\n": "a private key",
    'pem = "-----BEGIN PRIVATE ' + 'KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\n"': "a private key",
    'api_key = "f3A9kLm2Qx7Zp0Rt5' + 'Vw8Yb1Nc4"': "a random value of `api_key`",
    'api_key: "9f86d081884c7d65' + '9a2feaa0c55ad015"': "a random value of `api_key`",
    '{"client_secret": "GOCSPX-' + 'a8Kd93jfLs02Jfk3LsP0q"}': "a random value of `client_secret`",
    "export DB_PASSWORD=a8Kd93jf" + "Ls02Jfk3LsP0q": "a random value of `DB_PASSWORD`",
    "shpat_" + "eee65f53e9421ce50211670eae679f02": "a Shopify token",
    "hvs." + "DPrAJ71fTquWoGsbeKXgzg2sye9b2Rann76dEyTzAeKOmXRrvftva9AW7hipTgad": "a Vault token",
    "dckr_pat_" + "DZFlRJmCGmUXiAPyhzAnar3ZLt4": "a Docker token",
    "123456789:AA" + "bnlz2MPKgcjnCqaXNv1syeefnLOpaMxxN": "a Telegram token",
    "abc8Q~" + "Di9LE1Ki3ylOjt6o0NpUmkVO8JmR8y4EMf": "an Azure secret",
    "AccountKey="
    + "557ka2aCIgzKPJUak4XqGxkD6AlbwCmDoEty9mNjU0H7QAg9O2llvcNRX7TbnUBkbojJQSGNumsgLN/SvYyi5w==": "an Azure key",
    "xapp-1-A0TPJQFXCE-" + "489254412578-71159b42b4ea410fb9102f29a422eb14ab2f2d0f": "a Slack token",
    "AGE-SECRET-KEY-1" + "QCCQY998S64CAUA9PN97PW8LLSQHNFV24UL05ESVMVDCW5DGGLKZY328U7": "an age key",
    "curl -u admin:" + "p7Kd93jfLs02Jfk3": "a password of a command",
    "machine x login me password " + "p7Kd93jfLs02Jfk3": "a password of a login",
    "redis://:" + "p7Kd93jfLs02Jfk3@h:6379": "a password of an address",
    "Authorization: Basic " + "YWRtaW46cDdLZDkzamZMczAySmZrMw==": "an encoded login",
    "client-key-data: LS0tLS1CRUdJTi"
    + "BSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFb3dJQkFBS0NBUUVBeDhLZDkz": "a private key in base64",
    "aws_secret_access_key = "
    + "r7n1AyOHFRuT11NCue1cr3McRTrKwtPYKbPizDmb": "a random value of `aws_secret_access_key`",
    "PrivateKey = " + "4CbrxIkmZdQQnDNELdbGPH81fcdJWhAkjS/+y5ZtBAw=": "a random value of `PrivateKey`",
    "https://x/v1?api_key=" + "3e3b266f850f1578b5c72dc4ee60caea": "a random value of `api_key`",
    "//registry/:_authToken=" + "PngU30ZP7Thnp5yftIY7uq6T2bwGfc7a9": "a random value of `_authToken`",
    "HEROKU_API_KEY=" + "3f9a1c2e-77b0-4d1e-9c5a-0b8e6d2f4a17": "a random value of `HEROKU_API_KEY`",
}
NO_SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    'aws_secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"',
    "ghp_" + "x" * 36,
    'api_key = "your-api-key-here-123456"',
    'api_key = os.environ["API_KEY"]',
    "API_KEY=<your key>",
    "token = generate_token_for_user2(x)",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0...\n",
    "sha256: 9f86d081884c7d659a2feaa0c55ad015",
    'tokenizer = "nvidia/NVIDIA-Nemotron-Nano-9B-v2"',
    'token_url: "https://auth.example.com/v2/token"',
    'token: "${{ secrets.GITHUB_TOKEN }}"',
    "Authorization: Bearer YOUR_ACCESS_TOKEN_HERE_123",
    "postgres://postgres:postgres@localhost:5432/db",
    "git clone https://user:${GITHUB_TOKEN2x}@host/x",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "The token is a8Kd93jfLs02Jfk3LsP0q2Xw",
    "token = responses2Of3Json4Parsed(x)",
    'token: "550e8400-e29b-41d4-a716-446655440000"',
    "TOKEN=550e8400-e29b-41d4-a716-446655440000",
    "PRIVATE_KEY=0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "curl -u user:password https://x",
    "Authorization: Basic dXNlcjpwYXNzd29yZA==",
    "login user password hunter2hunter2",
    "basic understanding2of3Something4Else",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_named_by_its_kind_and_its_place(text: str) -> None:
    (secret,) = secrets(f"first line\n{text}\n")
    assert secret.what == SECRETS[text]
    assert secret.position >= len("first line\n")
    assert len(secret.shown) <= 30 and secret.shown.rstrip("…") in text


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_documentation_and_code_write_is_not_a_secret(text: str) -> None:
    assert list(secrets(f"{text}\n")) == []


def test_a_private_key_ends_with_its_last_line_or_with_the_text() -> None:
    begin, value = "-----BEGIN PRIVATE " + "KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
    whole, cut = f"{begin}\n{value}\n-----END PRIVATE " + "KEY-----\n", f"{begin}{value}\n\n\n"
    text = f"{whole}rest\n{cut}{cut}{whole}rest\n{cut}rest\n"
    ends = [secret.end for secret in secrets(text)]
    last = text.rindex("rest\n", 0, -len("rest\n")) - 1
    assert ends == [len(whole) - 1, last, last, last, len(text)]


def test_fifteen_times_the_secrets_take_about_fifteen_times_as_long() -> None:
    key, named = (
        "-----BEGIN PRIVATE " + "KEY-----AAAABBBBCCCCDDDD1EFGHIJ\n\n\n",
        "API_TOKEN=" + "a8Fk2Lq9Zx7Rm4Tn1Vb6\n",
    )
    seconds = []
    for times in (400, 6000):
        begin = time.process_time()
        assert sum(1 for _ in secrets(key * times + named * times)) == 2 * times
        seconds.append(time.process_time() - begin)
    assert seconds[1] < 30 * seconds[0], "a hostile text must not keep the scan busy for hours"
