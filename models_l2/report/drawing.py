"""Small pictures of one building, SVG text and nothing else: its roof from above, and the solid from the south-west."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models_l2.report.facts import CLASSES, Worst
from twin.meshes import Solids, Surface

Floats = NDArray[np.float64]

SIDE = 200.0
_MARGIN = 8.0
# Low to high roofs; warm and light enough that points stand out.
_LOW, _HIGH = np.array([233, 227, 214]), np.array([150, 122, 88])
# Distances of points: upper end in m, ink, radius; size tells what hue tells.
RESIDUALS = ((0.2, "#3f6f5c", 1.2), (0.5, "#c8962e", 2.0), (1.0, "#d0691e", 2.9), (np.inf, "#a8321e", 3.8))
_LIGHT = np.array([-0.4, -0.55, 0.73])
_INK = {Surface.ROOF: np.array([178, 120, 92]), Surface.WALL: np.array([226, 219, 205])}


def plan_view(worst: Worst, title: str) -> str:
    """The roof from above, north up: faces by height, measured points by their distance, a scale bar."""
    if worst.solid is None:
        return _empty(title)
    corners, surface = _corners(worst.solid)
    roof = corners[surface == Surface.ROOF]
    height = roof[:, :, 2].mean(axis=1)
    low, high = float(height.min()), float(height.max())
    share = (height - low) / max(high - low, 0.01)
    place, scale = _fitted(roof[:, :, :2].reshape(-1, 2), worst.xyz[:, :2])
    order = np.argsort(height, kind="stable")
    parts = [_triangle(place(roof[k, :, :2]), _LOW + share[k] * (_HIGH - _LOW)) for k in order] + _dots(
        place(worst.xyz[:, :2]), worst.off
    )
    return _svg("".join(parts) + _scale_bar(scale), title)


def solid_view(solid: Solids | None, title: str) -> str:
    """The solid from the south-west and above, in parallel projection (isometric), lit from the left."""
    if solid is None:
        return _empty(title)
    corners, surface = _corners(solid)
    corners, surface = corners[surface != Surface.GROUND], surface[surface != Surface.GROUND]
    # Along the view (1, 1, -1) the screen has (1, -1, 0) to the right and (1, 1, 2) upwards.
    right, up = np.array([1.0, -1.0, 0.0]) / np.sqrt(2.0), np.array([1.0, 1.0, 2.0]) / np.sqrt(6.0)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = np.linalg.norm(normal, axis=1)
    seen = (normal @ np.array([-1.0, -1.0, 1.0]) > 0.0) & (size > 1e-9)
    corners, surface, normal = corners[seen], surface[seen], normal[seen] / size[seen, None]
    flat = np.stack([corners @ right, corners @ up], axis=-1)
    place, _ = _fitted(flat.reshape(-1, 2))
    depth = corners.mean(axis=1) @ np.array([1.0, 1.0, -1.0])
    light = 0.62 + 0.38 * np.clip(normal @ _LIGHT, 0.0, 1.0)
    parts = [
        _triangle(place(flat[k]), light[k] * _INK.get(Surface(surface[k]), _INK[Surface.WALL]))
        for k in np.argsort(-depth, kind="stable")
    ]
    return _svg("".join(parts), title)


def histogram(values: Floats, title: str) -> str:
    """Buildings by RMSE class as bars with their counts."""
    counts = np.bincount(np.searchsorted(CLASSES, values, side="left"), minlength=len(CLASSES) + 1)
    names = [f"≤{end:g}" for end in CLASSES] + [f"&gt;{CLASSES[-1]:g}"]
    top = max(int(counts.max()), 1)
    bars = []
    for k, (count, name) in enumerate(zip(counts.tolist(), names, strict=True)):
        x, tall = 8 + 56 * k, 120.0 * count / top
        ink = "#a8321e" if k >= len(CLASSES) - 2 else "#1f7a5c"
        bars.append(
            f'<rect x="{x}" y="{140 - tall:.1f}" width="46" height="{tall:.1f}" fill="{ink}" opacity=".8"/>'
            f'<text x="{x + 23}" y="{134 - tall:.1f}">{count or ""}</text><text x="{x + 23}" y="158">{name}</text>'
        )
    width = 8 + 56 * len(names)
    return (
        f'<svg class="bars" viewBox="0 0 {width} 166" role="img" aria-label="{title}">'
        f'<path d="M0,140.5H{width}" stroke="#645d51"/>{"".join(bars)}</svg>'
    )


def _corners(solid: Solids) -> tuple[Floats, NDArray[np.uint8]]:
    """Triangles (m, 3, 3) about the middle of the solid's place in the frame, and what each is."""
    return solid.vertices[solid.faces], solid.surface


def _fitted(*groups: Floats) -> tuple[Callable[[Floats], Floats], float]:
    """(function from places (k, 2) to the picture, pixels a metre) so that all groups fit; y goes up."""
    low = np.min([group.min(axis=0) for group in groups if len(group)], axis=0)
    high = np.max([group.max(axis=0) for group in groups if len(group)], axis=0)
    scale = (SIDE - 2.0 * _MARGIN - 12.0) / max(float((high - low).max()), 0.1)
    middle = 0.5 * (low + high)

    def place(xy: Floats) -> Floats:
        return np.asarray((xy - middle) * [scale, -scale] + [0.5 * SIDE, 0.5 * SIDE - 6.0])

    return place, scale


def _triangle(xy: Floats, rgb: Floats) -> str:
    ink = "#" + "".join(f"{min(max(int(v), 0), 255):02x}" for v in rgb)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in xy.tolist())
    return f'<polygon points="{points}" fill="{ink}" stroke="{ink}" stroke-width=".5"/>'


def _dots(xy: Floats, off: Floats) -> list[str]:
    """Points by class of distance, the far ones on top; one path a class."""
    parts, least = [], 0.0
    for end, ink, radius in RESIDUALS:
        rows = (off >= least) & (off < end)
        least = end
        strokes = "".join(f"M{x:.1f},{y:.1f}h0" for x, y in xy[rows].tolist())
        if strokes:
            parts.append(f'<path d="{strokes}" stroke="{ink}" stroke-width="{2 * radius:g}" stroke-linecap="round"/>')
    return parts


def _scale_bar(scale: float) -> str:
    length = next((v for v in (50.0, 20.0, 10.0, 5.0, 2.0, 1.0) if v * scale <= 0.4 * SIDE), 0.5)
    end = _MARGIN + length * scale
    return (
        f'<path d="M{_MARGIN},{SIDE - 9}v3H{end:.1f}v-3" fill="none" stroke="#4a453c"/>'
        f'<text x="{end + 5:.1f}" y="{SIDE - 5}">{length:g} m</text>'
    )


def _empty(title: str) -> str:
    return _svg(f'<path d="M40,160L160,40" stroke="#cfc7b8"/><text x="{SIDE / 2}" y="190">—</text>', title)


def _svg(body: str, title: str) -> str:
    return f'<svg class="pic" viewBox="0 0 {SIDE:g} {SIDE:g}" role="img" aria-label="{title}">{body}</svg>'
