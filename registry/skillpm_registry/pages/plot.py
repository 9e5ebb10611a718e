"""Downloads over time as a picture: a bar for each week, in the colours of the page."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _GAP = 320, 56, 4
_STYLE = ".b{fill:#17614d}.z{fill:#d8d4cb}@media(prefers-color-scheme:dark){.b{fill:#6cc7a8}.z{fill:#3a3f45}}"


def weekly(days: Sequence[int]) -> list[int]:
    """Return the sums of seven days each, the newest week last; days before the first whole week are left out."""
    first = len(days) % 7
    return [sum(days[start : start + 7]) for start in range(first, len(days), 7)]


def plot(days: Sequence[int], label: str) -> str:
    """Return the SVG of a bar for each week. A week without downloads has a thin grey bar."""
    weeks = weekly(days)
    most, width = max([*weeks, 1]), (_WIDTH + _GAP) / len(weeks)
    bars = []
    for place, count in enumerate(weeks):
        height = max(2.0, count / most * _HEIGHT)
        bars.append(
            f'<rect class="{"b" if count else "z"}" x="{place * width:g}" y="{_HEIGHT - height:g}" '
            f'width="{width - _GAP:g}" height="{height:g}" rx="1.5"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}"><title>{escape(label)}</title><style>{_STYLE}</style>{"".join(bars)}</svg>'
    )
