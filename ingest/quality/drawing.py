"""The small drawings of the quality page: a map of one source, a strip of time, a bar; SVG text and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ingest.quality.measures import MEASURES

# Warm greys of the ground, light to dark, and one ink for each quality; the shape of a mark tells faults apart.
GREYS = ("#e7e2d8", "#d6cfc2", "#bfb6a6", "#a39987", "#857b69")
INKS: Mapping[str, str] = {
    "completeness": "#1d5f8a",
    "logical": "#a8321e",
    "positional": "#5d4a94",
    "thematic": "#8f6200",
    "temporal": "#1f6b52",
}
# Each mark is drawn in a box of -1..1; open marks let the city show through.
MARKS = (
    "M-1,0a1,1 0 1,0 2,0a1,1 0 1,0 -2,0Z",
    "M-.8,-.8L.8,.8M-.8,.8L.8,-.8",
    "M0,-1.1L1,.8L-1,.8Z",
    "M-.8,-.8H.8V.8H-.8Z",
    "M0,-1.2L1.1,0L0,1.2L-1.1,0Z",
    "M-1,0H1M0,-1V1",
    "M-1,-.8L1,-.8L0,1.1Z",
    "M-1,-.4H1M-1,.4H1",
)


def marks_of(codes: Sequence[str]) -> dict[str, int]:
    """Measure -> place in MARKS, so that no two faults of one source share a shape."""
    return {code: place % len(MARKS) for place, code in enumerate(dict.fromkeys(codes))}


def ink(code: str) -> str:
    """Colour of a measure: that of its quality."""
    return INKS[MEASURES[code].quality]


def mark(code: str, place: int, size: float = 5.0) -> str:
    """The mark of a measure as a small picture of its own, for tables and legends."""
    return (
        f'<svg class="mark" viewBox="-1.6 -1.6 3.2 3.2" width="{2.6 * size:g}" height="{2.6 * size:g}" '
        f'aria-hidden="true"><path d="{MARKS[place]}" fill="none" stroke="{ink(code)}" stroke-width=".5"/></svg>'
    )


def source_map(table: Mapping[str, Any], marks: Mapping[str, int], title: str) -> str:
    """The source in warm grey and its faults as marks; scale bar and north with it."""
    rows, columns = table["shape"]
    parts = [f'<rect width="{columns}" height="{rows}" fill="#f6f3ec"/>', *_ground(table["rows"])]
    # Frequent faults lie below, the rare ones are seen.
    faults = sorted(table["faults"], key=lambda fault: -sum(cell[2] for cell in fault["cells"]))
    parts += [_fault_path(fault, marks[fault["measure"]]) for fault in faults]
    cell = (table["bounds"][2] - table["bounds"][0]) / columns
    parts.append(_scale_bar(cell, rows))
    parts.append(
        f'<path d="M{columns - 9},9V3m-1.6,2.2L{columns - 9},3l1.6,2.2" fill="none" stroke="#4a453c" '
        f'stroke-width=".6"/><text x="{columns - 9}" y="16" text-anchor="middle">北 N</text>'
    )
    return (
        f'<svg class="map" viewBox="0 0 {columns} {rows}" role="img" aria-label="{title}" '
        f'preserveAspectRatio="xMidYMid meet">{"".join(parts)}</svg>'
    )


def _ground(rows: Sequence[str]) -> list[str]:
    paths: dict[str, list[str]] = {}
    for y, row in enumerate(rows):
        start = 0
        for x in range(1, len(row) + 1):
            if x == len(row) or row[x] != row[start]:
                if row[start] != "0":
                    paths.setdefault(row[start], []).append(f"M{start},{y}h{x - start}v1h{start - x}z")
                start = x
    return [
        f'<path d="{"".join(paths[level])}" fill="{GREYS[int(level) - 1]}" stroke="{GREYS[int(level) - 1]}" '
        'stroke-width=".06"/>'
        for level in sorted(paths)
    ]


def _fault_path(fault: Mapping[str, Any], place: int) -> str:
    marks = []
    crowd = len(fault["cells"])
    smallest = 1.7 if crowd < 60 else 1.1 if crowd < 300 else 0.7
    for row, column, count in fault["cells"]:
        size = min(smallest * (1.0 + 0.25 * math.log2(count)), 4.0)
        marks.append(f'<use href="#k{place}" transform="translate({column + 0.5},{row + 0.5}) scale({size:.2f})"/>')
    veil = ' opacity=".6"' if crowd >= 300 else ""
    return f'<g stroke="{ink(fault["measure"])}" fill="none"{veil}>{"".join(marks)}</g>'


def definitions() -> str:
    """The marks once for the whole page; maps refer to them. The stroke keeps its width whatever the size."""
    paths = "".join(
        f'<path id="k{place}" d="{shape}" vector-effect="non-scaling-stroke" stroke-width="1.3"/>'
        for place, shape in enumerate(MARKS)
    )
    return f'<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>{paths}</defs></svg>'


def _scale_bar(cell: float, rows: int) -> str:
    aim = 30 * cell
    power = 10.0 ** math.floor(math.log10(aim))
    length = next(power * k for k in (5.0, 2.0, 1.0) if power * k <= aim)
    words = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    width = length / cell
    return (
        f'<path d="M4,{rows - 5}v1.5h{width:.2f}v-1.5" fill="none" stroke="#4a453c" stroke-width=".6"/>'
        f'<text x="{4 + width / 2:.2f}" y="{rows - 6}" text-anchor="middle">{words}</text>'
    )


def time_strip(bins: Sequence[int], title: str) -> str:
    """Observations in equal parts of their span as bars; a part with none is a red foot below the line."""
    top = max([*bins, 1])
    bars = "".join(f"M{k},30v{-26 * n / top:.2f}h.8V30z" for k, n in enumerate(bins) if n)
    empty = "".join(f"M{k},31h.8v3h-.8z" for k, n in enumerate(bins) if not n)
    return (
        f'<svg class="strip" viewBox="0 0 {len(bins)} 36" preserveAspectRatio="none" role="img" aria-label="{title}">'
        f'<path d="{bars}" fill="#8a9f95"/><path d="{empty}" fill="{INKS["logical"]}"/>'
        f'<path d="M0,30.4H{len(bins)}" stroke="#4a453c" stroke-width=".5"/></svg>'
    )


def share_bar(known: int, of: int) -> str:
    """A bar of 0..100 %; what is missing is hatched."""
    share = known / of if of else 0.0
    return f'<span class="bar" aria-hidden="true"><i style="width:{100 * share:.1f}%"></i></span>'
