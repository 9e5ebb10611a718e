"""A secret is found by its form, and what documentation writes in its place is not."""

from __future__ import annotations

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
