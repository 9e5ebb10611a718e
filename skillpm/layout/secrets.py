"""Secrets in a text: keys and tokens whose form says what they are, and random values under a secret's name.

Few false positives matter more than every hit, because a person who is warned in vain stops reading. So a token counts
by the fixed prefix and the alphabet of its issuer. A value under a name such as `api_key` counts only if it is a
literal, is long, and is as random as a generated one. Placeholders of documentation (`EXAMPLE`, `your-…`) do not count.
Sources: the issuers' pages on token formats; rules of gitleaks 8; Shannon, A Mathematical Theory of Communication, 6.
"""

from __future__ import annotations

import math
import re
from base64 import b64decode
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

# The form of each token: the beginnings, of which one stands in it, the rest, and what it is.
_FORMS = r"""
AKIA ASIA ABIA ACCA        [A-Z2-7]{16}                              an AWS access key
LTAI                       [A-Za-z0-9]{17,26}                        an Alibaba Cloud key
AKID                       [A-Za-z0-9]{32}                           a Tencent Cloud key
AIza                       [\w-]{35}                                 a Google API key
GOCSPX-                    [\w-]{28}                                 a Google OAuth secret
ya29.                      [\w-]{50,}                                a Google OAuth token
1//0                       [\w-]{40,}                                a Google OAuth token
ghp_ gho_ ghu_ ghs_ ghr_   [A-Za-z0-9]{36,255}                       a GitHub token
github_pat_                [A-Za-z0-9]{22}_[A-Za-z0-9]{59}           a GitHub token
glpat- glptt- gldt- glrt-  [\w.-]{20,}                               a GitLab token
glcbt- glagent- gloas- glft- glsoat- glimt-  [\w.-]{20,}             a GitLab token
ATBB ATCTT3xFfGN0 ATATT3xFfGF0  [\w=-]{28,}                          an Atlassian token
xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs-  [0-9]{8,}-[0-9A-Za-z-]{10,}  a Slack token
xapp-                      \d-[A-Z0-9]{8,}-\d{8,}-[a-f0-9]{32,}      a Slack token
hooks.slack.com/services/  T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{24}  a Slack webhook
discord.com/api/webhooks/ discordapp.com/api/webhooks/  \d{17,20}/[\w-]{60,80}  a Discord webhook
sk_live_ rk_live_          [0-9A-Za-z]{20,}                          a Stripe key
whsec_                     [0-9A-Za-z+/=]{32,}                       a secret of webhooks
shpat_ shpca_ shppa_ shpss_  [a-f0-9]{32}                            a Shopify token
sq0atp- sq0csp-            [\w-]{22,43}                              a Square token
access_token$production$   [a-z0-9]{16}\$[a-f0-9]{32}                a PayPal token
access-production-         [a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}  a Plaid token
npm_                       [A-Za-z0-9]{36}                           an npm token
pypi-AgEIcHlwaS5vcmc       [\w-]{50,}                                a PyPI token
rubygems_                  [a-f0-9]{48}                              a RubyGems key
cio                        [A-Za-z0-9]{32}                           a crates.io token
dckr_pat_ dckr_oat_        [\w-]{27,32}                              a Docker token
sk-ant-                    (?:api|admin|oat|ort)\d\d-[\w-]{80,}      an Anthropic key
sk- sk-proj- sk-svcacct- sk-admin-  [\w-]{20,}T3BlbkFJ[\w-]{20,}     an OpenAI key
sk-                        [A-Za-z0-9]{48}                           an OpenAI key
sk-                        [a-f0-9]{32}                              a DeepSeek key
sk-or-v1-                  [a-f0-9]{64}                              an OpenRouter key
gsk_                       [A-Za-z0-9]{52}                           a Groq key
xai-                       [A-Za-z0-9]{70,}                          an xAI key
pplx-                      [A-Za-z0-9]{48}                           a Perplexity key
nvapi-                     [\w-]{60,}                                an NVIDIA key
r8_                        [A-Za-z0-9]{37}                           a Replicate token
hf_                        [A-Za-z0-9]{34}                           a Hugging Face token
tvly-                      (?:dev-|prod-)?[A-Za-z0-9]{28,}           a Tavily key
lsv2_pt_ lsv2_sk_          [a-f0-9]{32}_[a-f0-9]{10}                 a LangSmith key
pcsk_                      [\w-]{50,}                                a Pinecone key
sk_                        [a-f0-9]{48}                              an ElevenLabs key
SG.                        [\w-]{22}\.[\w-]{43}                      a SendGrid key
key-                       [a-f0-9]{32}                              a Mailgun key
SK                         [a-f0-9]{32}                              a Twilio key
re_                        [A-Za-z0-9]{8}_[A-Za-z0-9]{24}            a Resend key
NRAK-                      [A-Z0-9]{27}                              a New Relic key
glsa_                      [A-Za-z0-9]{32}_[a-f0-9]{8}               a Grafana token
glc_                       [A-Za-z0-9+/=]{32,}                       a Grafana token
sntrys_ sntryu_            [A-Za-z0-9+/=_]{60,}                      a Sentry token
phx_                       [A-Za-z0-9]{40,}                          a PostHog key
dp.pt. dp.st. dp.sa.       [\w.-]{40,}                               a Doppler token
lin_api_                   [A-Za-z0-9]{40}                           a Linear key
ntn_ secret_               [A-Za-z0-9]{43,46}                        a Notion token
figd_                      [\w-]{40,}                                a Figma token
pat                        [A-Za-z0-9]{14}\.[a-f0-9]{64}             an Airtable token
pat-na1- pat-eu1-          [a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}  a HubSpot token
PMAK-                      [a-f0-9]{24}-[a-f0-9]{34}                 a Postman key
CFPAT-                     [\w-]{43}                                 a Contentful token
tfp_                       [\w-]{40,}                                a Typeform token
sk.eyJ                     [\w-]{40,}\.[\w-]{20,}                    a Mapbox token
dop_v1_ doo_v1_ dor_v1_ dot_v1_  [a-f0-9]{64}                        a DigitalOcean token
HRKU-                      [\w-]{50,}                                a Heroku key
hvs. hvb. hvr.             [\w-]{60,}                                a Vault token
.atlasv1.                  [\w-]{60,}                                a Terraform token
pul-                       [a-f0-9]{40}                              a Pulumi token
dapi                       [a-f0-9]{32}                              a Databricks token
dt0c01.                    [A-Z0-9]{24}\.[A-Z0-9]{64}                a Dynatrace token
fm2_                       [\w+/=]{80,}                              a Fly.io token
nfp_                       [A-Za-z0-9]{36}                           a Netlify token
CCIPAT_ CCIPRJ_            [A-Za-z0-9]{22}_[a-f0-9]{40}              a CircleCI token
bkua_                      [a-f0-9]{40}                              a Buildkite token
sqp_ sqa_ squ_             [a-f0-9]{40}                              a SonarQube token
sbp_                       [a-f0-9]{40}                              a Supabase token
sb_secret_                 [\w-]{31,}                                a Supabase key
pscale_tkn_ pscale_pw_ pscale_oauth_  [\w.-]{32,}                    a PlanetScale token
tskey-                     (?:auth|api|client)-[A-Za-z0-9]+-[A-Za-z0-9]{30,}  a Tailscale key
ops_eyJ                    [A-Za-z0-9_=-]{200,}                      a 1Password token
AGE-SECRET-KEY-1           [QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}    an age key
EAACEdEose0cBA             [A-Za-z0-9]{20,}                          a Facebook token
skp_                       [\w-]{43}                                 a token of a skillpm registry
8Q~                        [\w.~-]{34}                               an Azure secret
AccountKey= SharedAccessKey=  [A-Za-z0-9+/]{42,86}={1,2}             an Azure key
:AA                        [\w-]{33}                                 a Telegram token
eyJ                        [\w-]{10,}\.eyJ(?!zdWIiOiIxMjM0NTY3ODkw)[\w-]{10,}\.[\w-]{20,}  a signed web token
"""
_RUN = re.compile(r"[\w.~$=/+:-]{12,}")  # what a secret can be part of, if it has a digit
_DIGIT = re.compile(r"\d|hf_")  # the tokens of Hugging Face may have none
_FREE = {"8Q~", ".atlasv1.", ":AA"}  # beginnings before which other characters of the token stand


def _form(line: str) -> tuple[str, tuple[str, ...], str]:
    """Return what a form is, how it begins, and its pattern, which is compiled where a text has such a beginning."""
    *beginnings, rest, what = re.split(r"\s{2,}", line.strip())
    literals = tuple(" ".join(beginnings).split())
    before = "" if literals[0] in _FREE else r"(?<![A-Za-z0-9_])"
    return what, literals, f"{before}(?:{'|'.join(map(re.escape, literals))}){rest}(?![A-Za-z0-9])"


_TOKENS = tuple(map(_form, _FORMS.strip().splitlines()))
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY(?: BLOCK)?-----(?:\\n|[\s>|#*\"'+])*"
    r"(?:(?:Proc-Type|DEK-Info|Version|Comment): ?[^\n]*\s+)*(?P<value>[A-Za-z0-9+/=]{16,}+)(?!\.\.|…)"
)
_CREDENTIAL = re.compile(
    r"\b[Bb]earer (?P<token>[A-Za-z0-9_~+/=-]{20,256})|://[^\s/:@]{0,64}:(?P<password>[^\s/:@]{8,64})@"
    r"|(?:\s-u|--user)[ =][\"']?[^\s:\"']{1,64}:(?P<typed>[^\s:\"']{8,64})"
    r"|\blogin\s+\S{1,64}\s+password\s+(?P<listed>\S{8,64})"
)
_OF = {"token": "a header", "password": "an address", "typed": "a command", "listed": "a login"}
_ENCODED = re.compile(
    r"\b[Bb]asic (?P<login>[A-Za-z0-9+/]{16,256}=*)|\"auth\"\s*:\s*\"(?P<auth>[A-Za-z0-9+/]{16,256}=*)\""
    r"|(?P<key>\b(?:LS0tLS1CRUdJTi|eyJ0eXBlIjo|ewogICJ0eXBlIjo)[A-Za-z0-9+/]{20,}=*)"
)
_NAMES = ("key", "secret", "passw", "token", "credential")
_NAMED = re.compile(
    r"""(?ix) (?P<name>(?:(?:api|access|account|admin|auth|encryption|master|private|service|signing)[_-]?key|secret
                         |passw(?:or)?d|token|credential)(?:s|_[a-z0-9_]{1,20})?)
        (?:(?P<close>["'])\s*:|\s*(?:=>|:=|=|:))\s*
        (?:(?P<quote>["'`])(?P<quoted>[A-Za-z0-9+/_=.-]{16,256})(?P=quote)
          |(?P<bare>[A-Za-z0-9+/_=-]{16,256})(?P<ends>[ \t]*$)?(?=[\s,;&]|\Z))""",
    re.MULTILINE,
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"example|sample|placeholder|your|change.?me|dummy|fake|redacted|insert|replace|todo|secret|password|token|key"
    r"|x{4}|0{6}|1234567|abcdef|550e8400|123e4567|ac0974bec39a17|(.)\1{5}",
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
    listed = [*_private_keys(text)]
    keys = [secret.position for secret in listed]
    for start, end in _candidates(text):
        part = text[start:end]
        known = {position - start for position in keys[bisect_left(keys, start) : bisect_left(keys, end)]}
        found = [*tokens(part)]
        known |= {token.position for token in found}
        listed += [
            replace(secret, position=secret.position + start, end=secret.end + start)
            for secret in (*found, *_credentials(part, known), *_named(part, known))
        ]
    yield from sorted(listed, key=lambda secret: secret.position)


def _candidates(text: str) -> list[tuple[int, int]]:
    """Return the lines that can have a secret, and the line before each: most lines of most texts can have none."""
    spans: list[tuple[int, int]] = []
    covered = 0
    for match in _RUN.finditer(text):
        if match.end() <= covered or not _DIGIT.search(match[0]):
            continue
        start = text.rfind("\n", 0, max(text.rfind("\n", 0, match.start()), 0)) + 1
        end = text.find("\n", match.end())
        end = len(text) if end < 0 else end
        if spans and start <= covered:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
        covered = end
    return spans


def _private_keys(text: str) -> Iterator[Secret]:
    """Yield private keys. Each ends behind its last line, or at the end of the text where that is cut off."""
    last, end = 0, 0  # keys without a last line share the next one, which is looked for once
    for match in _PRIVATE_KEY.finditer(text) if "PRIVATE KEY" in text else ():
        if 0 <= last < match.end():
            last = text.find("-----END", match.end())
            line = text.find("\n", last) if last >= 0 else -1
            end = len(text) if line < 0 else line
        if _entropy(match["value"]) >= _TYPED:
            yield Secret("a private key", match.start(), match[0][:27], end)


def tokens(text: str) -> Iterator[Secret]:
    """Yield the tokens of a text whose form says what they are."""
    for what, literals, pattern in _TOKENS:
        if any(literal in text for literal in literals):
            for match in re.finditer(pattern, text):
                if not _DOCUMENTED.search(match[0]) and _entropy(match[0]) >= _TYPED:
                    yield Secret(what, match.start(), f"{match[0][:6]}…", match.end())


def _credentials(text: str, known: set[int]) -> Iterator[Secret]:
    """Yield random values that a header, a command or an address has, save those that begin at a known position."""
    for match in _CREDENTIAL.finditer(text):
        group = match.lastgroup or ""
        if match.start(group) not in known and _is_random(match[group]):
            what = f"a {'token' if group == 'token' else 'password'} of {_OF[group]}"
            yield Secret(what, match.start(group), f"{match[group][:3]}…", match.end(group))
    for match in _ENCODED.finditer(text):
        group = match.lastgroup or ""
        try:
            plain = b64decode(match[group] + "==").decode("utf-8", "replace")
        except ValueError:
            continue
        if "PRIVATE KEY" in plain if group == "key" else _is_random(plain.partition(":")[2]):
            what = "a private key in base64" if group == "key" else "an encoded login"
            yield Secret(what, match.start(group), f"{match[group][:3]}…", match.end(group))


def _named(text: str, known: set[int]) -> Iterator[Secret]:
    """Yield random values under a secret's name, save those that begin at a known position.

    A value without quotes may be code or prose: it counts under a name of a variable of the environment, in an
    address, or as all that is on the line if it has many digits.
    """
    lowered = text.lower()
    for match in _NAMED.finditer(text) if any(name in lowered for name in _NAMES) else ():
        if known and not known.isdisjoint(range(match.start(), match.end())):
            continue
        value = match["quoted"] or match["bare"]
        name = _name_before(text, match.start()) + match["name"]
        begin = match.end("name") - len(name)
        if (
            match["bare"]
            and not name.isupper()
            and match["close"] is None
            and text[max(begin - 1, 0) : begin] not in ("?", "&", ":")
        ):
            line = text.rfind("\n", 0, begin) + 1
            is_line = match["ends"] is not None and not text[line:begin].strip(" \t-/:")
            if not is_line or sum(character.isdigit() for character in value) < 3:
                continue
        if _is_random(value.removeprefix("0x")) or (name.isupper() and _UUID.fullmatch(value) and _is_typed(value)):
            yield Secret(f"a random value of `{name}`", match.start(), f"{value[:3]}…", match.end())


def _is_typed(value: str) -> bool:
    """Is this no placeholder, and not one character again and again?"""
    return _entropy(value) >= _TYPED and not _PLACEHOLDER.search(value)


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
