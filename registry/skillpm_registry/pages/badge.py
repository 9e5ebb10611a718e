"""A badge for a README: the name of a skill and its version, as a picture of two boxes."""

from __future__ import annotations

from xml.sax.saxutils import escape

_NARROW, _WIDE = set("fijlrtI.-/1|"), set("mwMW")


def badge(left: str, right: str, *, good: bool = True) -> str:
    """Return the SVG of a badge. ``good`` gives the right box its colour."""
    widths = [_width(left) + 14, _width(right) + 14]
    whole, colour = sum(widths), "#2f5d50" if good else "#8a4b12"
    label = escape(f"{left}: {right}")
    texts = "".join(
        f'<text x="{place:g}" y="14">{escape(text)}</text>'
        for place, text in ((widths[0] / 2, left), (widths[0] + widths[1] / 2, right))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole:g}" height="20" role="img" aria-label="{label}">'
        f"<title>{label}</title>"
        f'<clipPath id="r"><rect width="{whole:g}" height="20" rx="4"/></clipPath><g clip-path="url(#r)">'
        f'<rect width="{whole:g}" height="20" fill="#33383d"/>'
        f'<rect x="{widths[0]:g}" width="{widths[1]:g}" height="20" fill="{colour}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f"{texts}</g></svg>"
    )


def _width(text: str) -> float:
    """Return about how wide a text is at 11 pixels."""
    return sum(4 if char in _NARROW else 10 if char in _WIDE else 7 for char in text)
