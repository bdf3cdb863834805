"""Brushes of the orthophoto: per-pixel kernels for ground, shadows, roofs and trees; colours are 0..255, town coordinates."""

from __future__ import annotations

import numba
import numpy as np

_FAST = {"cache": True, "nogil": True, "fastmath": False}
(
    NATURE, ASPHALT, STREET, LANE, WATER, GRASS, OLD_GROUND, YARD, PAVING, WORKS, SCHOOL, PITCH, TRACK, VILLAGE, TEMPLE, BANK,
    FOREST, MINE, RAIL, BRICK, PATH, MEDIAN, STONE,
) = range(23)  # fmt: skip
# Red, green, blue, strength of coarse and of fine grain, for every ground class.
GROUND = np.array(
    [
        (0, 0, 0, 0, 0), (108, 108, 107, 3, 5), (124, 122, 119, 4, 6), (139, 134, 126, 7, 8), (71, 89, 84, 5, 2),
        (98, 107, 76, 14, 9), (134, 126, 114, 14, 11), (132, 130, 120, 12, 9), (152, 149, 143, 7, 6), (126, 121, 112, 14, 10),
        (142, 138, 130, 8, 6), (92, 112, 74, 6, 4), (142, 93, 78, 3, 3), (142, 131, 112, 16, 12), (148, 142, 132, 8, 7),
        (104, 111, 82, 18, 9), (79, 89, 62, 12, 16), (88, 84, 78, 18, 12), (104, 99, 93, 6, 9), (128, 120, 110, 5, 7),
        (146, 134, 112, 6, 6), (88, 101, 70, 8, 9), (147, 142, 134, 5, 6),
    ], dtype=np.float32,
)  # fmt: skip
# Colours of fields: young maize, millet, stubble, fallow loess, potatoes, fresh furrow, dry grass.
FIELDS = np.array(
    [(102, 116, 74), (122, 128, 88), (150, 139, 104), (160, 143, 114), (92, 107, 70), (130, 113, 91), (134, 132, 96)],
    dtype=np.float32,
)
FLAT, GABLE, HIP, SHED, CAR, CRENEL = range(6)
SUN_AZIMUTH, SUN_ELEVATION = np.radians(258.0), np.radians(38.0)
SUN_U, SUN_V = float(np.sin(SUN_AZIMUTH)), float(np.cos(SUN_AZIMUTH))
REACH = float(1.0 / np.tan(SUN_ELEVATION))


@numba.njit(**_FAST)
def _hash(a: int, b: int, c: int) -> float:
    h = np.uint32(a * 374761393 + b * 668265263 + c * 2147483647)
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(1274126177))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    return float(h) / 4294967296.0


@numba.njit(**_FAST)
def _noise(table: np.ndarray, x: float, y: float) -> float:
    """Smooth noise -1..1 from a periodic table (256, 256)."""
    fx, fy = np.floor(x), np.floor(y)
    i, j = int(fx) & 255, int(fy) & 255
    tx, ty = x - fx, y - fy
    tx, ty = tx * tx * (3 - 2 * tx), ty * ty * (3 - 2 * ty)
    i1, j1 = (i + 1) & 255, (j + 1) & 255
    low = table[j, i] + tx * (table[j, i1] - table[j, i])
    high = table[j1, i] + tx * (table[j1, i1] - table[j1, i])
    return low + ty * (high - low)


@numba.njit(**_FAST)
def _field(table: np.ndarray, u: float, v: float, out: np.ndarray) -> None:
    """Farmland: areas of one direction, strips of one crop, edges, furrows and a tree row here and there."""
    wu = u + 90.0 * _noise(table, u / 430.0, v / 430.0 + 31.0)
    wv = v + 90.0 * _noise(table, u / 430.0 + 57.0, v / 430.0)
    a, b = int(np.floor(wu / 560.0)), int(np.floor(wv / 430.0))
    turn = (_hash(a, b, 1) - 0.5) * 0.7 + (1.5708 if _hash(a, b, 2) < 0.4 else 0.0)
    c, s = np.cos(turn), np.sin(turn)
    p, q = u * c + v * s, v * c - u * s
    width, length = 16.0 + 26.0 * _hash(a, b, 3), 120.0 + 160.0 * _hash(a, b, 4)
    i = int(np.floor(p / width))
    shift = q / length + _hash(i, a, 5)
    j = int(np.floor(shift))
    pick = int(_hash(i + 91 * a, j + 57 * b, 6) * 0.6 * 7 + _hash(a, b, 7) * 0.4 * 7) % 7
    tone = 1.0 + 0.10 * (_hash(i, j + b, 8) - 0.5) + 0.05 * _noise(table, u / 23.0, v / 23.0)
    edge = min(p / width - i, 1.0 - (p / width - i)) * width
    if edge < 1.6:
        tone *= 0.93
    head = min(shift - j, 1.0 - (shift - j)) * length
    if head < 2.4:
        tone *= 1.07
    tone *= 1.0 + 0.018 * np.sin(p * 1.9)
    border = min(wu / 560.0 - a, wv / 430.0 - b)
    for k in range(3):
        out[k] = FIELDS[pick, k] * tone
    if border * 430.0 < 4.0:
        mix = 0.75
        out[0] += mix * (150.0 - out[0])
        out[1] += mix * (138.0 - out[1])
        out[2] += mix * (114.0 - out[2])
    elif border * 430.0 < 10.0 and _hash(a, b, 9) < 0.55 and _noise(table, u / 5.0, v / 5.0) > -0.1:
        out[0], out[1], out[2] = 74.0, 86.0, 58.0


@numba.njit(**_FAST)
def _hill(table: np.ndarray, u: float, v: float, z: float, slope: float, north: float, out: np.ndarray) -> None:
    """Loess hills: dry grass and bare loess, scrub in gullies and on northern slopes, terraces on the gentler ones."""
    patch = _noise(table, u / 160.0, v / 160.0) + 0.55 * _noise(table, u / 37.0, v / 37.0)
    green = min(1.0, max(0.0, 0.42 + 0.42 * patch + 0.55 * north))
    bare = min(1.0, max(0.0, 0.28 - 0.5 * patch + 0.5 * (slope - 0.35)))
    grain = 5.0 * _noise(table, u / 6.0, v / 6.0) + 4.0 * _noise(table, u / 2.4, v / 2.4)
    out[0] = 139.0 - 43.0 * green + 16.0 * bare + grain
    out[1] = 131.0 - 27.0 * green + 6.0 * bare + grain
    out[2] = 103.0 - 31.0 * green + 3.0 * bare + grain
    if 0.07 < slope < 0.30:
        step = z / 4.0 - np.floor(z / 4.0)
        band = 0.055 * (1.0 if step < 0.30 else -0.3)
        for k in range(3):
            out[k] *= 1.0 - band
    scrub = _noise(table, u / 4.1, v / 4.1)
    if green > 0.62 and scrub > 0.25:
        for k in range(3):
            out[k] *= 0.80


@numba.njit(**_FAST)
def ground(
    cover: np.ndarray,
    origin: np.ndarray,
    step: float,
    relief: np.ndarray,
    box: np.ndarray,
    table: np.ndarray,
    out: np.ndarray,
) -> None:
    """Colour every pixel of a tile by its ground class.

    cover   (ny, nx) u1 class        origin  (2,) u, v of the north-west corner, m       step    pixel, m
    relief  (5, h, w) f4: height, slope, shade 0..1.3, northness, hilliness on a grid that starts at box[0], box[1] (north-west)
            with step box[2]         table   (256, 256) f4 noise                          out     (3, ny, nx) f4
    """
    ny, nx = cover.shape
    h, w = relief.shape[1:]
    rgb = np.empty(3)
    other = np.empty(3)
    near = np.empty(5)
    for r in range(ny):
        v = origin[1] - (r + 0.5) * step
        fy = min(max((box[1] - v) / box[2] - 0.5, 0.0), h - 1.001)
        j = int(fy)
        ty = fy - j
        for c in range(nx):
            u = origin[0] + (c + 0.5) * step
            fx = min(max((u - box[0]) / box[2] - 0.5, 0.0), w - 1.001)
            i = int(fx)
            tx = fx - i
            kind = cover[r, c]
            for k in range(5):
                low = relief[k, j, i] + tx * (relief[k, j, i + 1] - relief[k, j, i])
                high = relief[k, j + 1, i] + tx * (relief[k, j + 1, i + 1] - relief[k, j + 1, i])
                near[k] = low + ty * (high - low)
            broad = _noise(table, u / 310.0 + 5.0, v / 310.0 + 9.0)
            if kind == NATURE or kind == FOREST:
                hilly = min(1.0, max(0.0, (near[4] - 3.0 + 2.0 * broad) / 7.0))
                if hilly < 1.0:
                    _field(table, u, v, rgb)
                if hilly > 0.0:
                    _hill(table, u, v, near[0], near[1], near[3], other)
                    if kind == FOREST:
                        wood = 0.5 + 0.5 * _noise(table, u / 7.0, v / 7.0)
                        for k in range(3):
                            other[k] = 0.35 * other[k] + 0.65 * (GROUND[FOREST, k] - 14.0 + 24.0 * wood)
                    for k in range(3):
                        rgb[k] = (1.0 - hilly) * rgb[k] + hilly * other[k] if hilly < 1.0 else other[k]
            else:
                coarse = 0.6 * _noise(table, u / 41.0, v / 41.0) + 0.4 * _noise(table, u / 13.0, v / 13.0)
                fine = _noise(table, u / 1.9, v / 1.9) if step < 1.0 else _noise(table, u / 4.3, v / 4.3)
                if kind == WATER:
                    coarse = _noise(table, u / 60.0, v / 190.0)
                for k in range(3):
                    rgb[k] = GROUND[kind, k] + GROUND[kind, 3] * coarse + GROUND[kind, 4] * 0.6 * fine
                if kind == YARD or kind == VILLAGE or kind == OLD_GROUND or kind == PAVING:
                    lawn = _noise(table, u / 17.0 + 3.0, v / 11.0 + 8.0)
                    if kind == YARD and lawn > 0.05:
                        mix = min(1.0, (lawn - 0.05) * 5.0)
                        rgb[0] += mix * (101.0 - rgb[0])
                        rgb[1] += mix * (108.0 - rgb[1])
                        rgb[2] += mix * (80.0 - rgb[2])
            light = near[2] if kind != WATER else 1.0
            light *= 1.0 + 0.035 * broad
            for k in range(3):
                out[k, r, c] = rgb[k] * light


@numba.njit(**_FAST)
def _span(
    part: np.ndarray, origin: np.ndarray, step: float, shape: tuple[int, int], shift: float
) -> tuple[int, int, int, int]:
    """Pixel bounds of a rectangle swept along the shadow by `shift` metres."""
    c, s = abs(np.cos(part[4])), abs(np.sin(part[4]))
    hu, hv = 0.5 * (part[2] * c + part[3] * s), 0.5 * (part[2] * s + part[3] * c)
    u0, u1 = part[0] - hu + min(0.0, -SUN_U * shift), part[0] + hu + max(0.0, -SUN_U * shift)
    v0, v1 = part[1] - hv + min(0.0, -SUN_V * shift), part[1] + hv + max(0.0, -SUN_V * shift)
    return (
        max(0, int((origin[1] - v1) / step) - 1), min(shape[0], int((origin[1] - v0) / step) + 2),
        max(0, int((u0 - origin[0]) / step) - 1), min(shape[1], int((u1 - origin[0]) / step) + 2),
    )  # fmt: skip


@numba.njit(**_FAST)
def shadows(parts: np.ndarray, origin: np.ndarray, step: float, out: np.ndarray) -> None:
    """Height of the shadow over every pixel, m: boxes (m, 6: u, v, w, d, angle, height) swept away from the sun.

    out     (ny, nx) f4, raised to the highest shadow
    """
    ny, nx = out.shape
    for m in range(len(parts)):
        part = parts[m]
        length = part[5] * REACH
        r0, r1, c0, c1 = _span(part, origin, step, (ny, nx), length)
        cos, sin = np.cos(part[4]), np.sin(part[4])
        du, dv = SUN_U * length, SUN_V * length
        dx, dy = du * cos + dv * sin, dv * cos - du * sin
        hw, hd = 0.5 * part[2], 0.5 * part[3]
        for r in range(r0, r1):
            v = origin[1] - (r + 0.5) * step - part[1]
            for c in range(c0, c1):
                u = origin[0] + (c + 0.5) * step - part[0]
                x, y = u * cos + v * sin, v * cos - u * sin
                low, high = 0.0, 1.0
                for axis in range(2):
                    p, d, half = (x, dx, hw) if axis == 0 else (y, dy, hd)
                    if abs(d) < 1e-9:
                        if abs(p) > half:
                            high = -1.0
                    else:
                        a, b = (-half - p) / d, (half - p) / d
                        low, high = max(low, min(a, b)), min(high, max(a, b))
                if low <= high:
                    level = part[5] * (1.0 - low)
                    if level > out[r, c]:
                        out[r, c] = level


@numba.njit(**_FAST)
def _side(x: float, y: float, hw: float, hd: float, kind: int) -> tuple[int, float, float]:
    """Roof face of a point (0 +x, 1 -x, 2 +y, 3 -y, 4 flat), its distance to the eave, and to the nearest ridge."""
    ex, ey = hw - abs(x), hd - abs(y)
    if kind == HIP:
        if ex < ey:
            return (0 if x > 0 else 1), ex, min(abs(ex - ey) * 0.7071, abs(x))
        ridge = min(abs(ex - ey) * 0.7071, abs(y)) if hw > hd else min(abs(ex - ey) * 0.7071, abs(y))
        return (2 if y > 0 else 3), ey, ridge
    if kind == FLAT or kind == CAR or kind == CRENEL:
        return 4, min(ex, ey), 99.0
    if hw >= hd:
        return (2 if y > 0 else 3), ey, abs(y)
    return (0 if x > 0 else 1), ex, abs(x)


@numba.njit(**_FAST)
def roofs(
    parts: np.ndarray,
    looks: np.ndarray,
    origin: np.ndarray,
    step: float,
    shadow: np.ndarray,
    table: np.ndarray,
    out: np.ndarray,
) -> None:
    """Paint roofs over the ground: lit and shaded faces, ridges, tile rows, parapets and what stands on flat roofs.

    parts   (m, 6) u, v, w, d, angle, height      looks   (m, 5) kind, red, green, blue, trim (0 none, 1 green, 2 gold)
    """
    ny, nx = shadow.shape
    for m in range(len(parts)):
        part, kind, trim = parts[m], int(looks[m, 0]), looks[m, 4]
        r0, r1, c0, c1 = _span(part, origin, step, (ny, nx), 0.0)
        cos, sin = np.cos(part[4]), np.sin(part[4])
        hw, hd = 0.5 * part[2], 0.5 * part[3]
        sx, sy = SUN_U * cos + SUN_V * sin, SUN_V * cos - SUN_U * sin
        seed = int(part[0] * 7.0) * 31 + int(part[1] * 7.0)
        pitch = 0.16 if kind == SHED else 0.40
        for r in range(r0, r1):
            v = origin[1] - (r + 0.5) * step - part[1]
            for c in range(c0, c1):
                u = origin[0] + (c + 0.5) * step - part[0]
                x, y = u * cos + v * sin, v * cos - u * sin
                if abs(x) > hw or abs(y) > hd:
                    continue
                face, eave, ridge = _side(x, y, hw, hd, kind)
                facing = 0.0
                if face == 0:
                    facing = sx
                elif face == 1:
                    facing = -sx
                elif face == 2:
                    facing = sy
                elif face == 3:
                    facing = -sy
                light = 1.0 + (pitch * 1.15 * facing if face < 4 else 0.0)
                light += 0.05 * _noise(table, (u + part[0]) / 2.6, (v + part[1]) / 2.6)
                if kind == FLAT:
                    if eave < max(0.55, 0.6 * step):
                        light *= 1.10
                    elif eave < 1.3 and step < 1.0:
                        light *= 0.90
                    else:
                        a, b = int(np.floor((x + hw) / 4.2)), int(np.floor((y + hd) / 3.6))
                        spot = _hash(a + seed, b, 3)
                        if spot < 0.10:
                            light *= 0.78
                        elif spot > 0.93:
                            light *= 1.14
                        light *= 0.98 + 0.04 * _hash(int(np.floor((x + hw) / 14.0)), seed, 4)
                elif kind == SHED:
                    light *= 1.0 + 0.03 * np.sin(x * 2.1) + (0.10 if ridge < 0.7 * max(step, 1.0) else 0.0)
                    if int(np.floor((x + hw) / 6.0)) % 3 == 0 and abs(y) < 0.75 * hd and abs(y) > 0.2 * hd:
                        light *= 1.07
                elif kind == GABLE or kind == HIP:
                    if step < 1.0:
                        row = x if face >= 2 else y
                        light *= 1.0 + 0.045 * np.sin(row * 10.5)
                    if ridge < max(0.35, 0.5 * step):
                        light *= 1.16
                    if eave < 0.45 and step < 1.0:
                        light *= 0.82
                elif kind == CRENEL:
                    light *= 1.12 if eave < 0.9 else 1.0
                if shadow[r, c] > part[5] + 0.8 and kind != CAR:
                    light *= 0.62
                for k in range(3):
                    out[k, r, c] = looks[m, 1 + k] * light
                if trim > 0.0 and (eave < 1.0 or ridge < 0.9):
                    gold = trim > 1.5
                    out[0, r, c] = (150.0 if gold else 66.0) * light
                    out[1, r, c] = (120.0 if gold else 98.0) * light
                    out[2, r, c] = (58.0 if gold else 76.0) * light


@numba.njit(**_FAST)
def trees(
    spots: np.ndarray,
    origin: np.ndarray,
    step: float,
    cover: np.ndarray,
    allowed: np.ndarray,
    shadow: np.ndarray,
    out: np.ndarray,
) -> None:
    """Tree crowns (t, 3: u, v, radius) with a lit and a dark side and a short shadow, where the ground class allows them."""
    ny, nx = cover.shape
    for m in range(len(spots)):
        u0, v0, radius = spots[m]
        row, col = int((origin[1] - v0) / step), int((u0 - origin[0]) / step)
        if 0 <= row < ny and 0 <= col < nx and not allowed[cover[row, col]]:
            continue
        tone = 0.82 + 0.36 * _hash(int(u0 * 3.0), int(v0 * 3.0), 11)
        warm = _hash(int(u0 * 3.0), int(v0 * 3.0), 12)
        wide = radius * 2.4
        for r in range(max(0, int((origin[1] - v0 - wide) / step)), min(ny, int((origin[1] - v0 + wide) / step) + 2)):
            v = origin[1] - (r + 0.5) * step - v0
            for c in range(
                max(0, int((u0 - wide - origin[0]) / step)), min(nx, int((u0 + wide - origin[0]) / step) + 2)
            ):
                u = origin[0] + (c + 0.5) * step - u0
                away = np.hypot(u, v) / radius
                if away < 1.0:
                    side = (u * SUN_U + v * SUN_V) / radius
                    light = tone * (0.86 + 0.26 * side) * (0.58 if shadow[r, c] > 5.0 else 1.0)
                    cover_up = 1.0 if away < 0.8 else 0.6
                    out[0, r, c] += cover_up * ((76.0 + 14.0 * warm) * light - out[0, r, c])
                    out[1, r, c] += cover_up * ((90.0 + 8.0 * warm) * light - out[1, r, c])
                    out[2, r, c] += cover_up * (60.0 * light - out[2, r, c])
                elif np.hypot(u + SUN_U * 1.1 * radius, v + SUN_V * 1.1 * radius) < 0.9 * radius and shadow[r, c] < 1.0:
                    for k in range(3):
                        out[k, r, c] *= 0.80


@numba.njit(**_FAST)
def darken(shadow: np.ndarray, out: np.ndarray) -> None:
    """Lay the shadows on the ground, slightly blue."""
    for r in range(shadow.shape[0]):
        for c in range(shadow.shape[1]):
            if shadow[r, c] > 0.6:
                out[0, r, c] *= 0.52
                out[1, r, c] *= 0.55
                out[2, r, c] *= 0.61


@numba.njit(**_FAST)
def heights(
    parts: np.ndarray, kinds: np.ndarray, rise: np.ndarray, origin: np.ndarray, step: float, out: np.ndarray
) -> None:
    """Raise a surface by roofs: `out` (ny, nx) f4 gets ground + eave + pitch, where `parts` (m, 6) carries eave heights.

    rise    (m,) m from eave to ridge, 0 for flat roofs
    """
    ny, nx = out.shape
    for m in range(len(parts)):
        part, kind = parts[m], int(kinds[m])
        r0, r1, c0, c1 = _span(part, origin, step, (ny, nx), 0.0)
        cos, sin = np.cos(part[4]), np.sin(part[4])
        hw, hd = 0.5 * part[2], 0.5 * part[3]
        for r in range(r0, r1):
            v = origin[1] - (r + 0.5) * step - part[1]
            for c in range(c0, c1):
                u = origin[0] + (c + 0.5) * step - part[0]
                x, y = u * cos + v * sin, v * cos - u * sin
                if abs(x) <= hw and abs(y) <= hd:
                    _, eave, _ = _side(x, y, hw, hd, kind)
                    out[r, c] += part[5] + rise[m] * min(1.0, eave / min(hw, hd))
