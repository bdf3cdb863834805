"""Brushes of the orthophoto for what stands: shadows, roofs, trees; colours are 0..255, coordinates those of the town.

A box is a row of u, v, w, d, angle, height; `place` is u and v of a tile's north-west corner and the pixel size, m.
"""

from __future__ import annotations

import numba
import numpy as np

from ingest.sample.soil import FAST, hashed, noise

FLAT, GABLE, HIP, SHED, CAR, CRENEL = range(6)
SUN_AZIMUTH, SUN_ELEVATION = np.radians(258.0), np.radians(40.0)
SUN_U, SUN_V = float(np.sin(SUN_AZIMUTH)), float(np.cos(SUN_AZIMUTH))
REACH = float(1.0 / np.tan(SUN_ELEVATION))


@numba.njit(**FAST)
def _span(part: np.ndarray, place: np.ndarray, shape: tuple[int, int], shift: float) -> tuple[int, int, int, int]:
    """Pixel bounds of a rectangle swept along the shadow by `shift` metres."""
    c, s, step = abs(np.cos(part[4])), abs(np.sin(part[4])), place[2]
    hu, hv = 0.5 * (part[2] * c + part[3] * s), 0.5 * (part[2] * s + part[3] * c)
    u0, u1 = part[0] - hu + min(0.0, -SUN_U * shift), part[0] + hu + max(0.0, -SUN_U * shift)
    v0, v1 = part[1] - hv + min(0.0, -SUN_V * shift), part[1] + hv + max(0.0, -SUN_V * shift)
    return (
        max(0, int((place[1] - v1) / step) - 1), min(shape[0], int((place[1] - v0) / step) + 2),
        max(0, int((u0 - place[0]) / step) - 1), min(shape[1], int((u1 - place[0]) / step) + 2),
    )  # fmt: skip


@numba.njit(**FAST)
def _slab(p: float, d: float, half: float, low: float, high: float) -> tuple[float, float]:
    """The part of a ray p + t d inside |x| < half, cut from low..high."""
    if abs(d) < 1e-9:
        return (low, high) if abs(p) <= half else (low, -1.0)
    a, b = (-half - p) / d, (half - p) / d
    return max(low, min(a, b)), min(high, max(a, b))


@numba.njit(**FAST)
def shadows(boxes: np.ndarray, place: np.ndarray, out: np.ndarray) -> None:
    """Height of the shadow over every pixel, m: boxes (m, 6) swept away from the sun; out (ny, nx) f4 is raised."""
    step = place[2]
    for m in range(len(boxes)):
        part = boxes[m]
        length = part[5] * REACH
        r0, r1, c0, c1 = _span(part, place, out.shape, length)
        cos, sin = np.cos(part[4]), np.sin(part[4])
        dx = length * (SUN_U * cos + SUN_V * sin)
        dy = length * (SUN_V * cos - SUN_U * sin)
        for r in range(r0, r1):
            v = place[1] - (r + 0.5) * step - part[1]
            for c in range(c0, c1):
                u = place[0] + (c + 0.5) * step - part[0]
                low, high = _slab(u * cos + v * sin, dx, 0.5 * part[2], 0.0, 1.0)
                low, high = _slab(v * cos - u * sin, dy, 0.5 * part[3], low, high)
                if low <= high:
                    out[r, c] = max(out[r, c], part[5] * (1.0 - low))


@numba.njit(**FAST)
def _side(x: float, y: float, hw: float, hd: float, kind: int) -> tuple[int, float, float]:
    """Roof face of a point (0 +x, 1 -x, 2 +y, 3 -y, 4 flat), its distance to the eave, and to the nearest ridge."""
    ex, ey = hw - abs(x), hd - abs(y)
    if kind == FLAT or kind >= CAR:
        return 4, min(ex, ey), 99.0
    if kind == HIP:
        hip = abs(ex - ey) * 0.7071
        if ex < ey:
            return (0 if x > 0 else 1), ex, min(hip, abs(x)) if hd > hw else hip
        return (2 if y > 0 else 3), ey, min(hip, abs(y)) if hw > hd else hip
    if hw >= hd:
        return (2 if y > 0 else 3), ey, abs(y)
    return (0 if x > 0 else 1), ex, abs(x)


@numba.njit(**FAST)
def _flat_light(x: float, y: float, eave: float, seed: int, step: float) -> float:
    """Parapet, machine houses, patches and water heaters of a flat roof."""
    if eave < max(0.55, 0.6 * step):
        return 1.12
    if eave < 1.3 and step < 1.0:
        return 0.90
    spot = hashed(int(np.floor(x / 4.6)) + seed, int(np.floor(y / 3.9)), 3)
    light = 0.975 + 0.05 * hashed(int(np.floor(x / 13.0)), seed, 4)
    if spot < 0.05:
        return light * 0.80
    return light * 1.12 if spot > 0.955 else light


@numba.njit(**FAST)
def _shed_light(x: float, y: float, hd: float, ridge: float, step: float) -> float:
    """Sheet joints, ridge vent and roof lights of a hall."""
    light = 1.0 + 0.025 * np.sin(x * 2.1)
    if ridge < 0.7 * max(step, 1.0):
        light *= 1.09
    if int(np.floor(x / 6.0)) % 3 == 0 and 0.2 * hd < abs(y) < 0.75 * hd:
        light *= 1.07
    return light


@numba.njit(**FAST)
def _tile_light(along: float, eave: float, ridge: float, step: float) -> float:
    """Tile rows, ridge and eave line of a tiled roof."""
    light = 1.0
    if step < 1.0:
        light += 0.045 * np.sin(along * 10.5)
        if eave < 0.45:
            light *= 0.84
    return light * 1.17 if ridge < max(0.35, 0.5 * step) else light


@numba.njit(**FAST)
def _roof_light(
    x: float, y: float, hw: float, hd: float, kind: int, sun: tuple[float, float, float, float], seed: int
) -> tuple[float, bool]:
    """Brightness of a roof pixel, and whether it lies on a trimmed edge; sun is its x and y, pixel size, noise."""
    face, eave, ridge = _side(x, y, hw, hd, kind)
    facing = sun[0] if face == 0 else (-sun[0] if face == 1 else (sun[1] if face == 2 else -sun[1]))
    light = 1.0 + 0.05 * sun[3]
    if face < 4:
        light += (0.18 if kind == SHED else 0.44) * facing
    if kind == FLAT:
        light *= _flat_light(x + hw, y + hd, eave, seed, sun[2])
    elif kind == SHED:
        light *= _shed_light(x + hw, y, hd, ridge, sun[2])
    elif kind == CRENEL:
        light *= 1.10 if eave < 0.9 else 1.0
    elif kind != CAR:
        light *= _tile_light(x if face >= 2 else y, eave, ridge, sun[2])
    return light, eave < 1.0 or ridge < 0.9


@numba.njit(**FAST)
def roofs(
    boxes: np.ndarray, looks: np.ndarray, place: np.ndarray, shadow: np.ndarray, table: np.ndarray, out: np.ndarray
) -> None:
    """Paint roofs over the ground: lit and shaded faces, ridges, tile rows, parapets and what stands on flat roofs.

    boxes   (m, 6)      looks   (m, 5) kind, red, green, blue, trim (0 none, 1 green glaze, 2 gold glaze)
    """
    step = place[2]
    glaze = np.array([(70.0, 100.0, 80.0), (138.0, 116.0, 68.0)])
    for m in range(len(boxes)):
        part, kind, trim = boxes[m], int(looks[m, 0]), int(looks[m, 4])
        r0, r1, c0, c1 = _span(part, place, shadow.shape, 0.0)
        cos, sin = np.cos(part[4]), np.sin(part[4])
        hw, hd = 0.5 * part[2], 0.5 * part[3]
        sx, sy = SUN_U * cos + SUN_V * sin, SUN_V * cos - SUN_U * sin
        seed = int(part[0] * 7.0) * 31 + int(part[1] * 7.0)
        for r in range(r0, r1):
            v = place[1] - (r + 0.5) * step - part[1]
            for c in range(c0, c1):
                u = place[0] + (c + 0.5) * step - part[0]
                x, y = u * cos + v * sin, v * cos - u * sin
                if abs(x) > hw or abs(y) > hd:
                    continue
                grain = noise(table, (u + part[0]) / 2.6, (v + part[1]) / 2.6)
                light, edge = _roof_light(x, y, hw, hd, kind, (sx, sy, step, grain), seed)
                if shadow[r, c] > part[5] + 0.8 and kind != CAR:
                    light *= 0.62
                for k in range(3):
                    out[k, r, c] = (glaze[trim - 1, k] if trim > 0 and edge else looks[m, 1 + k]) * light


@numba.njit(**FAST)
def _crown(spot: np.ndarray, u: float, v: float, shadow: float, pixel: np.ndarray) -> None:
    """One pixel of a crown, or of the shadow beside it."""
    radius = spot[2]
    away = np.hypot(u, v) / radius
    if away < 1.0:
        tone = 0.86 + 0.30 * hashed(int(spot[0] * 3.0), int(spot[1] * 3.0), 11)
        warm = hashed(int(spot[0] * 3.0), int(spot[1] * 3.0), 12)
        light = tone * (0.88 + 0.24 * (u * SUN_U + v * SUN_V) / radius) * (0.62 if shadow > 5.0 else 1.0)
        mix = 1.0 if away < 0.8 else 0.6
        pixel[0] += mix * ((78.0 + 16.0 * warm) * light - pixel[0])
        pixel[1] += mix * ((93.0 + 8.0 * warm) * light - pixel[1])
        pixel[2] += mix * (63.0 * light - pixel[2])
    elif np.hypot(u + SUN_U * 1.1 * radius, v + SUN_V * 1.1 * radius) < 0.9 * radius and shadow < 1.0:
        for k in range(3):
            pixel[k] *= 0.80


@numba.njit(**FAST)
def trees(
    spots: np.ndarray, place: np.ndarray, cover: np.ndarray, allowed: np.ndarray, shadow: np.ndarray, out: np.ndarray
) -> None:
    """Tree crowns (t, 3: u, v, radius) with a lit and a dark side and a short shadow, where the ground allows them."""
    ny, nx = cover.shape
    step = place[2]
    pixel = np.empty(3)
    for m in range(len(spots)):
        u0, v0, radius = spots[m]
        row, col = int((place[1] - v0) / step), int((u0 - place[0]) / step)
        if 0 <= row < ny and 0 <= col < nx and not allowed[cover[row, col]]:
            continue
        wide = radius * 2.4
        for r in range(max(0, int((place[1] - v0 - wide) / step)), min(ny, int((place[1] - v0 + wide) / step) + 2)):
            v = place[1] - (r + 0.5) * step - v0
            for c in range(max(0, int((u0 - wide - place[0]) / step)), min(nx, int((u0 + wide - place[0]) / step) + 2)):
                for k in range(3):
                    pixel[k] = out[k, r, c]
                _crown(spots[m], place[0] + (c + 0.5) * step - u0, v, shadow[r, c], pixel)
                for k in range(3):
                    out[k, r, c] = pixel[k]


@numba.njit(**FAST)
def darken(shadow: np.ndarray, out: np.ndarray) -> None:
    """Lay the shadows on the ground, slightly blue."""
    for r in range(shadow.shape[0]):
        for c in range(shadow.shape[1]):
            if shadow[r, c] > 0.6:
                out[0, r, c] *= 0.54
                out[1, r, c] *= 0.57
                out[2, r, c] *= 0.63


@numba.njit(**FAST)
def develop(out: np.ndarray, picture: np.ndarray) -> None:
    """The finished picture: a little brighter in the middle tones, 1..255 (0 means no picture)."""
    curve = np.empty(1024)
    for k in range(1024):
        curve[k] = 255.0 * (k / 4.0 / 255.0) ** 0.84 * 1.015
    for k in range(out.shape[0]):
        for r in range(out.shape[1]):
            for c in range(out.shape[2]):
                level = curve[min(1023, max(0, int(out[k, r, c] * 4.0)))]
                picture[k, r, c] = np.uint8(min(255.0, max(1.0, level + 0.5)))


@numba.njit(**FAST)
def heights(boxes: np.ndarray, kinds: np.ndarray, rise: np.ndarray, place: np.ndarray, out: np.ndarray) -> None:
    """Raise a surface by roofs: `out` (ny, nx) f4 gets eave plus pitch, where `boxes` (m, 6) carry eave heights.

    rise    (m,) m from eave to ridge, 0 for flat roofs
    """
    step = place[2]
    for m in range(len(boxes)):
        part, kind = boxes[m], int(kinds[m])
        r0, r1, c0, c1 = _span(part, place, out.shape, 0.0)
        cos, sin = np.cos(part[4]), np.sin(part[4])
        hw, hd = 0.5 * part[2], 0.5 * part[3]
        for r in range(r0, r1):
            v = place[1] - (r + 0.5) * step - part[1]
            for c in range(c0, c1):
                u = place[0] + (c + 0.5) * step - part[0]
                x, y = u * cos + v * sin, v * cos - u * sin
                if abs(x) <= hw and abs(y) <= hd:
                    _, eave, _ = _side(x, y, hw, hd, kind)
                    out[r, c] += part[5] + rise[m] * min(1.0, eave / min(hw, hd))
