"""Secrets of a session by where they stand: in headers, addresses, options and settings, encoded, or over two lines.

``skillpm.layout.secrets`` warns a person who publishes, so it must be sure. A session is kept and learned from, and to
mask one harmless word costs nothing there. So what stands where a secret stands counts, however weak it looks.
"""

from __future__ import annotations

import re
from base64 import b64decode
from bisect import bisect_right
from collections.abc import Iterator
from urllib.parse import unquote

from skillpm.layout.secrets import Secret, secrets, tokens

_HEADER = r"(?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]{0,32}(?:key|token|auth|secret)|private-token|api-?key"
_WORDS = r"passw(?:or)?d|passphrase|pwd|secret"
_VALUE = r"[^\s\"'`,;&<>(){}\[\]|]{4,512}"
# what stands there, and the pattern, whose group is the secret
_PLACES = tuple(
    (what, re.compile(pattern, re.IGNORECASE))
    for what, pattern in (
        ("a password of an address", r"://[^\s/:@\"'<>]{0,128}:([^\s/@\"'<>]{1,256})@"),
        ("a token of an address", r"://([A-Za-z0-9_-]{20,256})@"),
        (
            "a header",
            rf"\b(?:{_HEADER})[\"']?\s{{0,4}}:\s{{0,4}}[\"']?(?:[a-z]{{2,12}}\s+)?([^\s\"'][^\r\n\"']{{3,4096}})",
        ),
        ("a password", rf"(?:{_WORDS})[\"']?\s{{0,3}}=\s{{0,3}}[\"']?(?![$/.~])({_VALUE})"),
        ("a password", rf"(?:{_WORDS})[\"']?\s{{0,3}}:\s{{0,3}}[\"']?(?![$/.~])(?=\S*[0-9])(?=\S*[a-z])({_VALUE})"),
        (
            "a token",
            r"(?:token|(?:api|access|private|master|account|signing|encryption)[_-]?key|(?<![a-z])sig(?:nature)?)[\"']?\s{0,3}[:=]\s{0,3}[\"']?"
            rf"(?=\S*[0-9])(?=\S*[a-z])(?=\S{{12}})({_VALUE})",
        ),
        ("a password of a command", r"(?<!\S)(?:-u|--user)[ =][\"']?[^\s:\"']{1,64}:(?=\S*[a-z])([^\s\"']{1,128})"),
        (
            "a password of a command",
            rf"(?<![\w-])--?(?:[a-z-]{{1,32}}-)?(?:(?:store|key|src|dest|pass)?pass(?:word|wd|phrase|in|out)?|token|secret|api-key)"
            rf"[ =][\"']?(?:pass:)?(?![-$/.~]|pass:|env:|file:|stdin)({_VALUE})",
        ),
        (
            "a password of a command",
            r"\bhtpasswd\s+-\w{0,8}b\w{0,8}\s+(?:-\S{1,16}\s+){0,4}\S{1,256}\s+\S{1,64}\s+(\S{1,128})",
        ),
        (
            "a password of a command",
            r"\b(?:zip|unzip|redis-cli)\b[^\n|;&]{0,200}?\s(?:(?-i:-P)|(?<=redis-cli )-a)[ =]?[\"']?([^\s\"']{1,128})",
        ),
        ("a password of a command", r"\b7z\w?\b[^\n|;&]{0,200}?\s-p([^\s\"']{1,128})"),
        (
            "a password of a command",
            r"\b(?:echo|printf)\s+(?:-n\s+)?[\"']?(?!\$)([^\s\"'|$]{4,512})[\"']?\s{0,4}\|[^\n|;]{0,200}--password-stdin",
        ),
        ("a cookie", r"(?<!\S)(?:-b|--cookie)[ =][\"']?[\w.-]{1,64}=([^\s\"']{8,4096})"),
        (
            "a token",
            r"\b\w{0,32}(?:secret|password|token|api_?key|access_?key)[\"']?\s{1,4}[\"']?(?=\S{0,256}[0-9])(?=\S{0,256}[a-z])"
            r"([A-Za-z0-9+/=_-]{16,512})(?![\w./-])",
        ),
        (
            "a password",
            r"\b(?:password|passphrase|passwd|pwd|token|key)\s{1,4}(?:is|was)\s{1,4}[\"'`]?(?=\S{0,256}[0-9])(?=\S{0,256}[a-z])"
            rf"({_VALUE})",
        ),
        # what issuers begin their tokens with, whatever follows: forms change, and a session is no document
        (
            "a token",
            r"(?<![A-Za-z0-9])((?:sk-(?:[a-z]{2,10}-)?|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|npm_|gsk_|xai-|ntn_|hvs\.)(?=\S{0,256}[0-9])"
            r"(?=\S{0,256}[A-Z])[A-Za-z0-9_-]{24,512})",
        ),
        ("a password of a command", r"\bsshpass\s+-p\s*[\"']?([^\s\"']{1,128})"),
        ("a password of a command", r"\bmysql(?:dump|admin)?\b[^\n|;]{0,200}?\s-p[\"']?([^\s\"']{1,128})"),
        ("a password of a command", r"\blogin\b[^\n|;&:]{0,200}?\s-p[ =][\"']?([^\s\"']{1,128})"),
        ("a password of a login", r"\blogin\s+\S{1,64}\s+password\s+(\S{1,64})"),
        ("a hash of a password", r"(\$(?:1|2[abxy]?|5|6|y|apr1|argon2id?)\$[./A-Za-z0-9$=,]{16,256})"),
        ("a private key", r"\bPrivate-Lines: \d{1,4}\s+([A-Za-z0-9+/=]{16,64}(?:\s{1,2}[A-Za-z0-9+/=]{16,64}){0,200})"),
    )
)
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{24,8192}={0,2}")
# A token goes on behind a line break, a mark that cannot be seen and the end of a quoted part; a letter may be escaped.
_JOINT = re.compile(
    r"\\?\r?\n|[\u200b-\u200d\u2060\ufeff\u00ad]|[\"']\s{0,8}\+?\s{0,8}[\"']|(?P<percent>%[2-7][0-9A-Fa-f])"
    r"|\\u00(?P<code>[2-7][0-9A-Fa-f])"
)


def placed_secrets(text: str) -> Iterator[Secret]:
    """Yield the secrets of a session's text that their place shows, in no order; they may overlap."""
    for what, pattern in _PLACES:
        for match in pattern.finditer(text):
            yield Secret(what, match.start(1), "", match.end(1))
    for match in _ENCODED.finditer(text):
        if any(secrets(_decoded(match[0]))):
            yield Secret("an encoded secret", match.start(), "", match.end())
    yield from _broken(text)


def _decoded(text: str) -> str:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    if len(plain) % 4 == 1:
        return ""
    return b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8", "replace")


def _broken(text: str) -> Iterator[Secret]:
    """Yield the tokens that are whole only where the joints are taken out of the text."""
    pieces, starts, places, last, length = [], [0], [0], 0, 0
    for joint in _JOINT.finditer(text):
        letter = unquote(joint["percent"]) if joint["percent"] else chr(int(joint["code"], 16)) if joint["code"] else ""
        pieces += [text[last : joint.start()], letter]
        length += joint.start() - last + len(letter)
        last = joint.end()
        starts.append(length)
        places.append(last)
    if not pieces:
        return
    for token in tokens("".join([*pieces, text[last:]])):
        first, final = (_place(starts, places, at) for at in (token.position, token.end - 1))
        if final - first >= token.end - token.position:
            yield Secret(token.what, first, "", final + 1)


def _place(starts: list[int], places: list[int], at: int) -> int:
    """Return where a character of the joined text stands in the whole one; of an escaped letter, near it."""
    piece = bisect_right(starts, at) - 1
    return places[piece] + at - starts[piece]
