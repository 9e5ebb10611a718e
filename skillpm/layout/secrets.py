"""Secrets in a text: keys and tokens whose form says what they are, and random values under a secret's name.

Few false positives matter more than every hit, because a person who is warned in vain stops reading. So a token counts
by the fixed prefix and the alphabet of its issuer. A value under a name such as `api_key` counts only if it is a
literal, is long, and is as random as a generated one. Placeholders of documentation (`EXAMPLE`, `your-…`) do not count.
Sources: the issuers' pages on token formats; rules of gitleaks 8; Shannon, A Mathematical Theory of Communication, 6.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

# what it is, the literals of which one stands in each token, the token
_TOKENS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = tuple(
    (what, tuple(literals.split()), re.compile(pattern))
    for what, literals, pattern in (
        ("an AWS access key", "AKIA ASIA ABIA ACCA", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
        ("a GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
        ("a GitHub token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b"),
        ("a GitLab token", "glpat- glptt- gldt- glrt- glcbt-", r"\bgl(?:pat|ptt|dt|rt|cbt)-[A-Za-z0-9_-]{20,}"),
        ("a Slack token", "xox", r"\bxox[abeoprs]-[0-9]{8,}-[0-9A-Za-z-]{10,}"),
        (
            "a Slack webhook",
            "hooks.slack",
            r"\bhooks\.slack\.com/services/T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{24}\b",
        ),
        ("a Stripe key", "k_live_", r"\b[rs]k_live_[0-9A-Za-z]{20,}"),
        ("a Google API key", "AIza", r"\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
        ("an npm token", "npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("a PyPI token", "pypi-AgE", r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}"),
        ("an OpenAI key", "T3BlbkFJ", r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}"),
        ("an OpenAI key", "sk-", r"\bsk-[A-Za-z0-9]{48}\b"),
        ("an OpenRouter key", "sk-or-v1-", r"\bsk-or-v1-[a-f0-9]{64}\b"),
        ("a Groq key", "gsk_", r"\bgsk_[A-Za-z0-9]{52}\b"),
        ("an xAI key", "xai-", r"\bxai-[A-Za-z0-9]{70,}\b"),
        ("a Google OAuth token", "ya29.", r"\bya29\.[A-Za-z0-9_-]{50,}"),
        ("a signed web token", ".eyJ", r"\beyJ[\w-]{10,}\.eyJ(?!zdWIiOiIxMjM0NTY3ODkw)[\w-]{10,}\.[\w-]{20,}"),
        ("an Anthropic key", "sk-ant-", r"\bsk-ant-(?:api|admin)[0-9]{2}-[A-Za-z0-9_-]{80,}"),
        ("a Hugging Face token", "hf_", r"\bhf_[A-Za-z]{34}\b"),
        ("a SendGrid key", "SG.", r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
        ("a token of a skillpm registry", "skp_", r"\bskp_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
        ("a DigitalOcean token", "_v1_", r"\bdo[oprt]_v1_[a-f0-9]{64}\b"),
    )
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY(?: BLOCK)?-----(?:\\n|[\s>|#*\"'+])*"
    r"(?:(?:Proc-Type|DEK-Info|Version|Comment): ?[^\n]*\s+)*(?P<value>[A-Za-z0-9+/=]{16,}+)(?!\.\.|…)"
)
_CREDENTIAL = re.compile(
    r"\b[Bb]earer (?P<token>[A-Za-z0-9_~+/=-]{20,256})|://[^\s/:@]{1,64}:(?P<password>[^\s/:@]{8,64})@"
)
_NAMES = ("key", "secret", "passw", "token", "credential")
_NAMED = re.compile(
    r"""(?ix) (?P<name>(?:api[_-]?key|secret|passw(?:or)?d|token|access[_-]?key|credential)(?:s|_[a-z0-9_]{1,20})?)
        (?:(?P<close>["'])\s*:|\s*(?:=>|:=|=|:))\s*
        (?:(?P<quote>["'`])(?P<quoted>[A-Za-z0-9+/_=.-]{16,256})(?P=quote)
          |(?P<bare>[A-Za-z0-9+/_=-]{20,256})(?=[\s,;]|\Z))"""
)
_PLACEHOLDER = re.compile(
    r"example|sample|placeholder|your|change.?me|dummy|fake|redacted|insert|replace|todo|secret|password|token|key"
    r"|x{4}|0{6}|1234567|abcdef|(.)\1{5}",
    re.IGNORECASE,
)
_DOCUMENTED = re.compile(r"EXAMPLE|x{6}|X{6}|(.)\1{7}")
_RANDOM = 3.5  # bits a character, of a value that has to be taken for generated
_RANDOM_HEXADECIMAL = 3.0  # of 4 at most
_TYPED = 2.5  # of a token whose form says what it is


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret: what it is, where it begins and ends in the text, and its first characters for a message."""

    what: str
    position: int
    shown: str
    end: int


def secrets(text: str) -> Iterator[Secret]:
    """Yield the secrets of a text by their position."""
    tokens = [*_private_keys(text), *_tokens(text)]
    known = {token.position for token in tokens}
    yield from sorted([*tokens, *_credentials(text, known), *_named(text, known)], key=lambda secret: secret.position)


def _private_keys(text: str) -> Iterator[Secret]:
    for match in _PRIVATE_KEY.finditer(text) if "PRIVATE KEY" in text else ():
        if _entropy(match["value"]) >= _TYPED:
            yield Secret("a private key", match.start(), match[0][:27], _end_of_key(text, match.end()))


def _end_of_key(text: str, start: int) -> int:
    """Return where a private key ends: behind its last line, or at the end of the text where that is cut off."""
    end = text.find("-----END", start)
    line = text.find("\n", end) if end >= 0 else -1
    return len(text) if line < 0 else line


def _tokens(text: str) -> Iterator[Secret]:
    for what, literals, pattern in _TOKENS:
        if any(literal in text for literal in literals):
            for match in pattern.finditer(text):
                if not _DOCUMENTED.search(match[0]) and _entropy(match[0]) >= _TYPED:
                    yield Secret(what, match.start(), f"{match[0][:6]}…", match.end())


def _credentials(text: str, known: set[int]) -> Iterator[Secret]:
    """Yield random values that a header or an address has, save those that begin at a known position."""
    for match in _CREDENTIAL.finditer(text):
        group = match.lastgroup or ""
        if match.start(group) not in known and _is_random(match[group]):
            what = "a token of a header" if group == "token" else "a password of an address"
            yield Secret(what, match.start(group), f"{match[group][:3]}…", match.end(group))


def _named(text: str, known: set[int]) -> Iterator[Secret]:
    """Yield random values under a secret's name, save those that begin at a known position."""
    lowered = text.lower()
    for match in _NAMED.finditer(text) if any(name in lowered for name in _NAMES) else ():
        if known and not known.isdisjoint(range(match.start(), match.end())):
            continue
        value = match["quoted"] or match["bare"]
        name = _name_before(text, match.start()) + match["name"]
        if match["bare"] and not name.isupper() and match["close"] is None:
            continue  # a name in code, or prose
        if _is_random(value):
            yield Secret(f"a random value of `{name}`", match.start(), f"{value[:3]}…", match.end())


def _name_before(text: str, end: int) -> str:
    start = end
    while start > max(0, end - 40) and (text[start - 1].isalnum() or text[start - 1] in "_-."):
        start -= 1
    return text[start:end]


def _is_random(value: str) -> bool:
    """Does a value look generated: digits and letters, no word of documentation, and many different characters?"""
    if _PLACEHOLDER.search(value) or value.count(".") > 2 or not re.search(r"\d", value):
        return False
    if re.fullmatch(r"[0-9a-fA-F]{32,}", value):
        return _entropy(value) >= _RANDOM_HEXADECIMAL
    mixed = re.search(r"[a-z]", value) and re.search(r"[A-Z]", value)
    digits = sum(character.isdigit() for character in value)
    return bool(mixed) and digits >= 2 and _entropy(value) >= _RANDOM


def _entropy(text: str) -> float:
    """Return the entropy of the characters of a text, in bits a character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
