"""Markdown from strangers as HTML: raw HTML is text, and the result may hold only what a list allows.

Two layers that do not trust each other: the renderer makes no HTML out of HTML, images or strange links, and the
sanitizer removes every element, attribute and address that is not on its list. No picture is loaded, because its server
would learn who reads the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

MAX_TEXT = 32 << 10  # characters that are rendered
_DEEPER = 2  # levels: the page has a heading for itself and one for the text
_SPACES = re.compile(r"[^\w]+")
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, **{f"h{level}": {"id"} for level in range(2, 7)}}

Link = Callable[[str], str | None]
"""Returns the address of a file beside the text, or None if there is no such file."""


class _Renderer(RendererHTML):
    """Renders pictures as links to them."""

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Return a link with the picture's description as its text."""
        token = tokens[idx]
        text = self.renderInlineAsText(token.children or [], options, env) or "picture"
        return f'<a href="{escape(str(token.attrs.get("src", "")))}">{escape(text)}</a>'


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 12}, renderer_cls=_Renderer)
    return parser.enable(["table", "strikethrough"])


def visible(text: str) -> str:
    """Show control characters and what turns or hides text as escapes; leave everything else alone."""
    return _HIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def render(text: str, link: Link, prefix: str = "text") -> str:
    """Return the HTML of a Markdown text.

    Args:
        text: the source; what is longer than ``MAX_TEXT`` is left out, and the result says so.
        link: for addresses of files beside the text.
        prefix: of the ids of headings, so that they differ from all others of the page.
    """
    environment: dict[str, Any] = {}
    tokens = _parser().parse(visible(text[:MAX_TEXT].replace("\r\n", "\n")), environment)
    _number_headings(tokens, prefix)
    for token in _flat(tokens):
        if token.type in ("link_open", "image"):
            key = "href" if token.type == "link_open" else "src"
            token.attrs[key] = _address(str(token.attrs.get(key, "")), link, prefix)
    html = _parser().renderer.render(tokens, _parser().options, environment)
    clean = nh3.clean(
        html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer ugc",
    )  # fmt: skip
    cut = f"<p><em>The text goes on; {len(text) - MAX_TEXT:,} characters are not shown here.</em></p>"
    return clean + (cut if len(text) > MAX_TEXT else "")


def _flat(tokens: Iterable[Token]) -> Iterable[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or ())


def _number_headings(tokens: list[Token], prefix: str) -> None:
    """Move headings below those of the page, without a gap in their levels, and give each an id."""
    seen, level = dict[str, int](), _DEEPER
    for place, token in enumerate(tokens):
        if token.type not in ("heading_open", "heading_close"):
            continue
        if token.type == "heading_open":
            level = min(6, int(token.tag[1]) + _DEEPER, level + 1)
            slug = _SPACES.sub("-", tokens[place + 1].content.lower()).strip("-")[:80]
            seen[slug] = seen.get(slug, -1) + 1
            token.attrs["id"] = f"{prefix}-{slug}-{seen[slug]}" if seen[slug] else f"{prefix}-{slug}"
        token.tag = f"h{level}"


def _address(address: str, link: Link, prefix: str) -> str:
    """Return where a link leads: to another site, to a heading of the text, to a file beside it, or nowhere."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    if parts.scheme in ("http", "https", "mailto"):
        return address
    if parts.scheme or parts.netloc:
        return ""
    if not parts.path:
        return f"#{prefix}-{quote(unquote(parts.fragment).lower())}" if parts.fragment else ""
    return link(unquote(parts.path)) or ""


def beside(paths: Mapping[str, object] | Iterable[str], place: str) -> Link:
    """Return a ``Link`` to the files of a skill, shown below an address.

    Args:
        paths: the files.
        place: the address without a slash at the end.
    """
    known = frozenset(paths)

    def link(path: str) -> str | None:
        plain = path.removeprefix("./").rstrip("/")
        return f"{place}/{quote(plain)}" if plain in known else None

    return link
