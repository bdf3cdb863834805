"""The ground of the sample: a basin with two rivers, hills in the west and Mount Baideng in the north-east.

Everything is a function of place over one fixed domain, so a cut-out for tests has the same ground as the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from ingest.datong import facts
from ingest.datong.erosion import eroded

Floats = NDArray[np.float64]

DOMAIN = (-13200.0, -10800.0, 12400.0, 10800.0)
STEP = 20.0
YU_KNOTS = np.array(
    [(-11000, 3150), (-9200, 3000), (-8000, 2700), (-6200, 2880), (-4500, 2440), (-3000, 2270), (-1500, 2300),
     (0, 2330), (1500, 2270), (3000, 2300), (4500, 2340), (6000, 2680), (8000, 2500), (11000, 2950)], dtype=np.float64
)  # fmt: skip
SHILI_KNOTS = np.array(
    [(-13500, 900), (-12000, 250), (-10500, -300), (-8500, -1750), (-6500, -2700), (-4800, -4150), (-2800, -5350),
     (-800, -6450), (1200, -7750), (2780, -8700)], dtype=np.float64
)  # fmt: skip
LAKE = (6350.0, -420.0, 620.0, 430.0)
BAIDENG = (6900.0, 5900.0)
PAD = (200.0, 140.0)


def smoothstep(low: float, high: float, x: Floats) -> Floats:
    """0 below `low`, 1 above `high`, a smooth cubic between."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@dataclass(frozen=True, slots=True)
class Terrain:
    """Heights anywhere in the domain, m above the 1985 datum, from town coordinates.

    noise       (2, ny, nx) f8 on a 20 m lattice: rolling and fine relief, each about -1..1
    relief      (ny, nx) f8 on the same lattice: hills above the basin, m
    pads        (k, 3) u, v and height of the levelled yards of the mines
    """

    noise: Floats
    relief: Floats
    pads: Floats

    @staticmethod
    def of(seed: int, hills: bool = True) -> Terrain:
        """The terrain of a seed; without `hills` only what the middle of the domain needs, in a tenth of the time."""
        nx, ny = (int((DOMAIN[2] - DOMAIN[0]) / STEP), int((DOMAIN[3] - DOMAIN[1]) / STEP))
        rng = np.random.default_rng([seed, 11])
        rolling = _fractal(rng, (ny, nx), power=4.4, longest=7000.0)
        fine = _fractal(rng, (ny, nx), power=2.8, longest=400.0)
        relief = _hills(rng, rolling, fine) if hills else np.zeros((ny, nx))
        at = facts.places([row for row in facts.table("hazards") if row["kind"] == "mine"])
        yard = np.stack(np.meshgrid(np.linspace(-PAD[0], PAD[0], 9), np.linspace(-PAD[1], PAD[1], 9)), axis=-1).reshape(
            -1, 2
        )
        u, v = (at[:, None, :] + yard).reshape(-1, 2).T
        level = (base_level(u, v) + _sample(relief, u, v)).reshape(len(at), -1).mean(axis=1)
        return Terrain(np.stack([rolling, fine]), relief, np.column_stack([at, level]))

    def hills(self, u: Floats, v: Floats) -> Floats:
        """Height of the hills above the basin, m; zero where the city stands."""
        return _sample(self.relief, u, v)

    def height(self, u: Floats, v: Floats) -> Floats:
        """Ground height, m, of points in town coordinates."""
        d = yu_distance(u, v)
        hills = self.hills(u, v)
        fine = _sample(self.noise[1], u, v)
        calm = smoothstep(300.0, 1200.0, d) * smoothstep(200.0, 900.0, shili_distance(u, v))
        z = base_level(u, v) + hills + calm * 0.9 * _sample(self.noise[0], u, v)
        z = z + (0.22 + 2.2 * smoothstep(10.0, 60.0, hills)) * fine
        z = _level(z, u, v, self.pads)
        z = _carve_shili(z, u, v)
        z = _carve_yu(z, u, v, d)
        lake = np.hypot((u - LAKE[0]) / LAKE[2], (v - LAKE[1]) / LAKE[3])
        return np.where(lake < 1.35, np.minimum(z, lake_level() - 2.5 + 9.0 * np.clip(lake - 0.85, 0, 0.6)), z)


def _level(z: Floats, u: Floats, v: Floats, pads: Floats) -> Floats:
    """The ground with level yards cut into it, their slopes half as wide again."""
    for pu, pv, height in pads:
        away = np.maximum(np.abs(u - pu) / PAD[0], np.abs(v - pv) / PAD[1])
        if away.min() < 1.5:
            flat = 1.0 - smoothstep(1.0, 1.5, away)
            z = z + flat * (height - z)
    return z


def _sample(field: Floats, u: Floats, v: Floats) -> Floats:
    """One lattice at any points, bilinear; lattice values stand at cell centres."""
    rows, cols = (v - DOMAIN[1]) / STEP - 0.5, (u - DOMAIN[0]) / STEP - 0.5
    return map_coordinates(field, [rows, cols], order=1, mode="nearest")


def _hills(rng: np.random.Generator, rolling: Floats, fine: Floats) -> Floats:
    """Hills on the whole lattice, carved at twice its step."""
    ny, nx = rolling.shape
    u = DOMAIN[0] + (np.arange(nx // 2) + 0.5) * 2 * STEP
    v = DOMAIN[1] + (np.arange(ny // 2) + 0.5) * 2 * STEP
    uu, vv = np.meshgrid(u, v)
    coarse = 0.25 * (rolling[::2, ::2] + rolling[1::2, ::2] + rolling[::2, 1::2] + rolling[1::2, 1::2])
    sway = 900.0 * coarse
    near = shili_distance(uu, vv)
    west = smoothstep(6300.0, 11500.0, -uu + 0.35 * np.abs(vv + 1500.0) + sway) * smoothstep(250.0, 2600.0, near)
    south_west = smoothstep(9300.0, 13500.0, -uu - 0.9 * vv + sway) * smoothstep(250.0, 1500.0, near)
    north_west = smoothstep(7000.0, 12500.0, 0.55 * vv - 0.8 * uu + sway)
    mask = np.maximum(np.maximum(west, 0.8 * south_west), 0.55 * north_west)
    mask = mask * smoothstep(2600.0, 5200.0, -uu + 0.6 * np.abs(vv)) * (0.9 + 0.2 * coarse)
    away = np.hypot(uu - BAIDENG[0], 1.15 * (vv - BAIDENG[1]))
    mask = np.maximum(mask, 1.25 * np.clip(1.0 - (away + 0.5 * sway) / 2900.0, 0.0, 1.0) ** 0.8)
    mask = np.where(mask > 0.012, mask, 0.0)
    rough = rng.uniform(-1.0, 1.0, uu.shape) + fine[::2, ::2]
    made = zoom(eroded(base_level(uu, vv), mask, rough), 2, order=3, mode="nearest", grid_mode=True)
    return np.maximum(gaussian_filter(made, 0.7), 0.0)


def _fractal(rng: np.random.Generator, shape: tuple[int, int], power: float, longest: float) -> Floats:
    """Noise with spectrum k^-power below the longest wave, unit standard deviation times 0.5."""
    white = np.fft.rfft2(rng.standard_normal(shape))
    ky = np.fft.fftfreq(shape[0], STEP)[:, None]
    kx = np.fft.rfftfreq(shape[1], STEP)[None, :]
    k = np.hypot(kx, ky)
    amplitude = np.where(k > 0, (k**2 + longest**-2) ** (-power / 4.0), 0.0)
    field = np.fft.irfft2(white * amplitude, shape)
    return np.clip(0.5 * field / field.std(), -1.6, 1.6)


_YU = CubicSpline(YU_KNOTS[:, 0], YU_KNOTS[:, 1])
_SHILI = CubicSpline(SHILI_KNOTS[:, 0], SHILI_KNOTS[:, 1])


def yu_line(v: Floats) -> Floats:
    """Easting of the Yu River at a northing, town coordinates."""
    return _YU(v)


def shili_line(u: Floats) -> Floats:
    """Northing of the Shili River at an easting, town coordinates."""
    return _SHILI(u)


def yu_distance(u: Floats, v: Floats) -> Floats:
    """Distance to the centre line of the Yu River, m (exact where the river runs straight)."""
    return np.abs(u - _YU(v)) / np.sqrt(1.0 + _YU(v, 1) ** 2)


def shili_distance(u: Floats, v: Floats) -> Floats:
    """Distance to the centre line of the Shili River, m; beyond its mouth the distance to the mouth."""
    at = np.clip(u, SHILI_KNOTS[0, 0], SHILI_KNOTS[-1, 0])
    across = np.abs(v - _SHILI(at)) / np.sqrt(1.0 + _SHILI(at, 1) ** 2)
    return np.hypot(across, u - at)


def yu_width(v: Floats) -> Floats:
    """Width of the water of the Yu River, m: broad behind the city's weirs, narrow outside."""
    return 58.0 + 92.0 * smoothstep(-6200.0, -4300.0, v) * (1.0 - smoothstep(4300.0, 6200.0, v))


def yu_bed(v: Floats) -> Floats:
    """Bed of the Yu River, m above the datum."""
    return 1036.2 + 0.00125 * v


def base_level(u: Floats, v: Floats) -> Floats:
    """The basin without rivers and hills, m: terraces rising slowly away from the Yu River."""
    d = yu_distance(u, v)
    return yu_bed(v) + 4.4 + 0.0026 * np.clip(d - 200.0, 0.0, None) + 0.9 * smoothstep(300.0, 700.0, d)


def lake_level() -> float:
    """Water level of the Wenying Lake, m above the datum."""
    return float(base_level(np.array([LAKE[0]]), np.array([LAKE[1]]))[0] - 1.2)


def _carve_yu(z: Floats, u: Floats, v: Floats, d: Floats) -> Floats:
    half = 0.5 * yu_width(v)
    bed = yu_bed(v) + 0.8 * np.clip(d / half, 0.0, 1.0) ** 2
    bank = bed + 2.3 * smoothstep(0.0, 26.0, d - half)
    plain = bank + 0.35 * smoothstep(20.0, 110.0, d - half)
    city = smoothstep(-5600.0, -4600.0, v) * (1.0 - smoothstep(4600.0, 5600.0, v))
    levee = 2.6 * city * np.exp(-(((d - half - 105.0) / 13.0) ** 2))
    blend = smoothstep(85.0, 190.0, d - half)
    return (1.0 - blend) * plain + blend * z + levee


def _carve_shili(z: Floats, u: Floats, v: Floats) -> Floats:
    d = shili_distance(u, v)
    at = np.clip(u, SHILI_KNOTS[0, 0], SHILI_KNOTS[-1, 0])
    bed = base_level(at, _SHILI(at)) - 4.8
    floor = bed + 2.2 * smoothstep(10.0, 34.0, d) + 0.6 * smoothstep(40.0, 120.0, d)
    blend = smoothstep(90.0, 330.0, d)
    return (1.0 - blend) * np.minimum(floor, z) + blend * z
