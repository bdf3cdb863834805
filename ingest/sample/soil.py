"""Brushes for the ground of the orthophoto: fields, loess hills, and everything that is paved, planted or wet."""

from __future__ import annotations

import numba
import numpy as np

FAST = {"cache": True, "nogil": True, "fastmath": False}
CLASSES = (
    "nature", "asphalt", "street", "lane", "water", "grass", "old_ground", "yard", "paving", "works", "school", "pitch",
    "track", "village", "temple", "bank", "forest", "mine", "rail", "brick", "path", "median", "stone", "marking",
    "weir",
    "sand",
)  # fmt: skip
CODE = {name: k for k, name in enumerate(CLASSES)}
_NATURE, _WATER, _FOREST = CODE["nature"], CODE["water"], CODE["forest"]
# Red, green, blue, strength of coarse and of fine grain, share of lawn, for every ground class.
GROUND = np.array(
    [
        (0, 0, 0, 0, 0, 0), (103, 104, 106, 3, 4, 0), (122, 121, 119, 4, 5, 0), (151, 146, 137, 6, 7, 0),
        (76, 96, 92, 5, 2, 0), (97, 108, 75, 12, 9, 0), (139, 131, 119, 11, 9, 0), (134, 132, 124, 9, 8, 0.45),
        (153, 150, 144, 6, 6, 0.16), (134, 129, 120, 12, 9, 0.05), (146, 142, 134, 7, 6, 0.2), (92, 112, 74, 6, 4, 0),
        (150, 99, 83, 3, 3, 0), (146, 136, 118, 14, 11, 0.08), (140, 135, 122, 9, 8, 0.12), (105, 113, 82, 16, 9, 0),
        (76, 87, 60, 12, 16, 0), (92, 88, 83, 16, 11, 0), (108, 103, 98, 6, 8, 0), (128, 120, 110, 5, 7, 0),
        (152, 141, 119, 6, 6, 0), (90, 103, 71, 8, 9, 0), (152, 148, 140, 4, 5, 0), (196, 195, 190, 2, 3, 0),
        (188, 193, 190, 8, 8, 0), (154, 145, 124, 12, 8, 0),
    ], dtype=np.float32,
)  # fmt: skip
# Colours of fields: maize, millet, stubble, fallow loess, potatoes, fresh furrow, dry grass, sunflower.
_FIELDS = np.array(
    [(109, 120, 80), (124, 129, 92), (147, 139, 108), (152, 140, 115), (102, 114, 77), (136, 122, 101), (135, 134, 100),
     (128, 130, 84)],
    dtype=np.float32,
)  # fmt: skip


@numba.njit(**FAST)
def hashed(a: int, b: int, c: int) -> float:
    """A number 0..1 that belongs to three whole numbers."""
    h = np.uint32(a * 374761393 + b * 668265263 + c * 2147483647)
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(1274126177))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    return float(h) / 4294967296.0


@numba.njit(**FAST)
def noise(table: np.ndarray, x: float, y: float) -> float:
    """Smooth noise -1..1 from a periodic table (256, 256)."""
    fx, fy = np.floor(x), np.floor(y)
    i, j = int(fx) & 255, int(fy) & 255
    tx, ty = x - fx, y - fy
    tx, ty = tx * tx * (3 - 2 * tx), ty * ty * (3 - 2 * ty)
    i1, j1 = (i + 1) & 255, (j + 1) & 255
    low = table[j, i] + tx * (table[j, i1] - table[j, i])
    high = table[j1, i] + tx * (table[j1, i1] - table[j1, i])
    return low + ty * (high - low)


@numba.njit(**FAST)
def _strip(table: np.ndarray, area: tuple[int, int], p: float, q: float, out: np.ndarray) -> None:
    """Colour of one parcel at (p along the furrows' normal, q along the furrows) of an area of one direction."""
    a, b = area
    width, length = 28.0 + 46.0 * hashed(a, b, 3), 130.0 + 190.0 * hashed(a, b, 4)
    i = int(np.floor(p / width))
    shift = q / length + hashed(i, a, 5)
    j = int(np.floor(shift))
    base = int(hashed(a, b, 7) * 8)
    pick = base if hashed(i + 91 * a, j + 57 * b, 6) < 0.55 else int(hashed(i + 17 * a, j + 31 * b, 8) * 8)
    tone = 1.0 + 0.09 * (hashed(i, j + b, 9) - 0.5) + 0.035 * noise(table, p / 21.0, q / 34.0)
    if min(p / width - i, 1.0 - (p / width - i)) * width < 1.3:
        tone *= 0.95
    if min(shift - j, 1.0 - (shift - j)) * length < 2.2:
        tone *= 1.05
    tone *= 1.0 + 0.014 * np.sin(p * 1.9)
    for k in range(3):
        out[k] = _FIELDS[pick, k] * tone


@numba.njit(**FAST)
def _field(table: np.ndarray, u: float, v: float, out: np.ndarray) -> None:
    """Farmland: areas of one direction with their parcels, earth roads, tree rows and a few greenhouses."""
    wu = u + 110.0 * noise(table, u / 610.0, v / 610.0 + 31.0)
    wv = v + 110.0 * noise(table, u / 610.0 + 57.0, v / 610.0)
    a, b = int(np.floor(wu / 760.0)), int(np.floor(wv / 560.0))
    turn = (hashed(a, b, 1) - 0.5) * 0.5 + (1.5708 if hashed(a, b, 2) < 0.4 else 0.0)
    c, s = np.cos(turn), np.sin(turn)
    p, q = u * c + v * s, v * c - u * s
    _strip(table, (a, b), p, q, out)
    if hashed(a, b, 10) < 0.035 and hashed(int(np.floor(p / 90.0)), int(np.floor(q / 90.0)), a) < 0.6:
        bright = (p / 15.0 - np.floor(p / 15.0)) < 0.58 and (q / 90.0 - np.floor(q / 90.0)) < 0.93
        for k in range(3):
            out[k] = (152.0 + 4.0 * k) if bright else out[k] * 0.92
    border = min(
        min(wu / 760.0 - a, 1.0 - (wu / 760.0 - a)) * 760.0, min(wv / 560.0 - b, 1.0 - (wv / 560.0 - b)) * 560.0
    )
    if border < 2.4:
        out[0], out[1], out[2] = 0.3 * out[0] + 105.0, 0.3 * out[1] + 97.0, 0.3 * out[2] + 82.0
    elif border < 7.0 and hashed(a, b, 11) < 0.6 and noise(table, u / 5.0, v / 5.0) > 0.0:
        out[0], out[1], out[2] = 82.0, 93.0, 63.0


@numba.njit(**FAST)
def _hill(table: np.ndarray, u: float, v: float, near: np.ndarray, out: np.ndarray) -> None:
    """Loess hills: dry grass and bare loess, scrub in gullies and on northern slopes, terraces on the gentler ones."""
    slope, north = near[1], near[3]
    patch = 0.7 * noise(table, u / 260.0, v / 260.0) + 0.4 * noise(table, u / 61.0, v / 61.0)
    green = min(1.0, max(0.0, 0.34 + 0.34 * patch + 0.45 * north))
    bare = min(1.0, max(0.0, 0.22 - 0.4 * patch + 0.6 * (slope - 0.42)))
    grain = 3.5 * noise(table, u / 9.0, v / 9.0) + 3.0 * noise(table, u / 3.1, v / 3.1)
    out[0] = 141.0 - 36.0 * green + 14.0 * bare + grain
    out[1] = 135.0 - 22.0 * green + 6.0 * bare + grain
    out[2] = 108.0 - 27.0 * green + 4.0 * bare + grain
    if 0.08 < slope < 0.26:
        step = near[0] / 5.0 - np.floor(near[0] / 5.0)
        band = 1.0 - 0.05 * (1.0 if step < 0.28 else -0.3)
        for k in range(3):
            out[k] *= band
    if green > 0.5 and noise(table, u / 5.3, v / 5.3) > 0.35 - 0.3 * (green - 0.5):
        for k in range(3):
            out[k] *= 0.86


@numba.njit(**FAST)
def _wild(
    table: np.ndarray, u: float, v: float, near: np.ndarray, forest: bool, rgb: np.ndarray, other: np.ndarray
) -> None:
    """Fields in the basin, hills above, woods where they are planted; a soft line between."""
    hilly = min(1.0, max(0.0, (near[4] - 4.0 + 3.0 * noise(table, u / 170.0, v / 170.0)) / 8.0))
    if hilly < 1.0:
        _field(table, u, v, rgb)
    if hilly > 0.0:
        _hill(table, u, v, near, other)
        for k in range(3):
            rgb[k] = other[k] if hilly >= 1.0 else (1.0 - hilly) * rgb[k] + hilly * other[k]
    if forest:
        patch = noise(table, u / 120.0, v / 120.0) + 0.5 * noise(table, u / 33.0, v / 33.0)
        wood = min(0.85, max(0.0, (near[4] - 14.0) / 30.0 + 0.5 * patch))
        tuft = noise(table, u / 6.5, v / 6.5)
        for k in range(3):
            rgb[k] += wood * (GROUND[_FOREST, k] + 13.0 * tuft - rgb[k])


@numba.njit(**FAST)
def _made(table: np.ndarray, u: float, v: float, kind: int, step: float, rgb: np.ndarray) -> None:
    """Ground that people made: its colour, grain and patches of lawn."""
    coarse = 0.6 * noise(table, u / 41.0, v / 41.0) + 0.4 * noise(table, u / 13.0, v / 13.0)
    size = 1.9 if step < 1.0 else 4.3
    fine = noise(table, u / size, v / size)
    if kind == _WATER:
        coarse = noise(table, u / 60.0, v / 190.0)
    for k in range(3):
        rgb[k] = GROUND[kind, k] + GROUND[kind, 3] * coarse + GROUND[kind, 4] * 0.6 * fine
    if GROUND[kind, 5] > 0.0:
        lawn = noise(table, u / 17.0 + 3.0, v / 11.0 + 8.0) + 0.3 * noise(table, u / 4.0, v / 4.0)
        mix = min(0.85, max(0.0, (lawn + 1.2 * GROUND[kind, 5] - 0.45) * 4.0)) * (1.0 + 0.12 * fine)
        rgb[0] += mix * (103.0 - rgb[0])
        rgb[1] += mix * (111.0 - rgb[1])
        rgb[2] += mix * (82.0 - rgb[2])


@numba.njit(**FAST)
def _relief_at(relief: np.ndarray, fx: float, fy: float, near: np.ndarray) -> None:
    """Bilinear values of all relief bands at a place in cells."""
    j, i = int(fy), int(fx)
    ty, tx = fy - j, fx - i
    for k in range(relief.shape[0]):
        low = relief[k, j, i] + tx * (relief[k, j, i + 1] - relief[k, j, i])
        high = relief[k, j + 1, i] + tx * (relief[k, j + 1, i + 1] - relief[k, j + 1, i])
        near[k] = low + ty * (high - low)


@numba.njit(**FAST)
def ground(
    cover: np.ndarray, place: np.ndarray, relief: np.ndarray, box: np.ndarray, table: np.ndarray, out: np.ndarray
) -> None:
    """Colour every pixel of a tile by its ground class.

    cover   (ny, nx) u1 class        place   (3,) u and v of the north-west corner and the size of a pixel, m
    relief  (5, h, w) f4: height, slope, shade about 1, northness, hilliness on a grid whose north-west corner is
            box[0], box[1] and whose step is box[2]     table   (256, 256) f4 noise     out     (3, ny, nx) f4
    """
    ny, nx = cover.shape
    h, w = relief.shape[1:]
    step = place[2]
    rgb, other, near = np.empty(3), np.empty(3), np.empty(5)
    for r in range(ny):
        v = place[1] - (r + 0.5) * step
        fy = min(max((box[1] - v) / box[2] - 0.5, 0.0), h - 1.001)
        for c in range(nx):
            u = place[0] + (c + 0.5) * step
            _relief_at(relief, min(max((u - box[0]) / box[2] - 0.5, 0.0), w - 1.001), fy, near)
            kind = cover[r, c]
            if kind == _NATURE or kind == _FOREST:  # noqa: SIM109
                _wild(table, u, v, near, kind == _FOREST, rgb, other)
            else:
                _made(table, u, v, kind, step, rgb)
            light = 1.0 if kind == _WATER else near[2]
            light *= 1.0 + 0.03 * noise(table, u / 310.0 + 5.0, v / 310.0 + 9.0)
            for k in range(3):
                out[k, r, c] = rgb[k] * light
