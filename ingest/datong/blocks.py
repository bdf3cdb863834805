"""The chessboard outside the wall: street lines, blocks between them, and what each compound is for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.datong import facts
from ingest.datong.plan import Extent, Floats
from ingest.datong.terrain import LAKE, Terrain, shili_distance, yu_line

SLABS, MIDRISE, TOWERS, MALL, OFFICES, SCHOOL, HOSPITAL, WORKS, PARK, YARDS, DENSE = range(11)
KINDS = (
    ("residential", "多层住宅区"), ("residential", "小高层住宅区"), ("residential", "高层住宅区"),
    ("commercial", "商业用地"),
    ("office", "商务办公用地"), ("education", "教育用地"), ("medical", "医疗用地"), ("industrial", "工业用地"),
    ("park", "公园绿地"), ("village", "村庄与自建住宅"), ("village", "密集自建住宅"),
)  # fmt: skip
# Share of each kind by quarter of the city, in the order of the codes above.
_SHARES = np.array(
    [
        (0.50, 0.15, 0.05, 0.10, 0.06, 0.06, 0.02, 0.00, 0.06, 0.00),  # around the wall
        (0.36, 0.12, 0.03, 0.05, 0.03, 0.05, 0.02, 0.24, 0.05, 0.05),  # west
        (0.22, 0.32, 0.17, 0.07, 0.04, 0.06, 0.02, 0.03, 0.07, 0.00),  # south
        (0.03, 0.24, 0.40, 0.07, 0.10, 0.05, 0.02, 0.00, 0.09, 0.00),  # east of the river
        (0.30, 0.14, 0.06, 0.06, 0.02, 0.05, 0.01, 0.25, 0.05, 0.06),  # north
    ]
)
_LINES_U = (
    -12400, -11700, -11000, -10300, -9500, -8600, -7700, -6800, -6000, -5200, -4400, -3650, -2950, -2300, -1650, -1080,
    -540, 0, 540, 1080, 1500, 1880, 2820, 3150, 3700, 4300, 4950, 5600, 6250, 7000, 7800, 8600, 9400, 10200,
    11000, 11400,
)  # fmt: skip
_LINES_V = (
    -9900, -9200, -8400, -7600, -6800, -6000, -5200, -4400, -3650, -2900, -2250, -1650, -1080, -540, 0, 540, 1080, 1700,
    2350, 3000, 3700, 4400, 5200, 6000, 6800, 7600, 8400, 9200, 9900,
)  # fmt: skip
RAIL_V = 3330.0
MINOR_HALF, SETBACK = 6.0, 9.0


@dataclass(frozen=True, slots=True)
class Compounds:
    """Walled plots of one use, in town coordinates, the most urban first and villages last.

    box     (k, 4) west, south, east, north      kind    (k,) code      chance  (k,) 0..1 fixed random number
    block   (k, 4) the whole street block around it
    """

    box: Floats
    kind: NDArray[np.int64]
    chance: Floats
    block: Floats

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Compounds:
        """The rows of an index or mask."""
        return Compounds(self.box[index], self.kind[index], self.chance[index], self.block[index])

    def __len__(self) -> int:
        return len(self.kind)


def _half_widths() -> tuple[dict[float, float], dict[float, float]]:
    ns: dict[float, float] = {}
    ew: dict[float, float] = {}
    for row in facts.table("arterials"):
        lines = ns if row["axis"] == "ns" else ew
        lines[float(row["at"])] = max(lines.get(float(row["at"]), 0.0), 0.5 * float(row["width"]))
    return ns, ew


def _grid() -> tuple[Floats, Floats]:
    """Inner rectangles of all street blocks (n, 4), and the rectangles between street lines (n, 4)."""
    ns, ew = _half_widths()
    us, vs = np.array(_LINES_U, dtype=np.float64), np.array(_LINES_V, dtype=np.float64)
    hu = np.array([ns.get(x, MINOR_HALF) for x in us]) + SETBACK
    hv = np.array([ew.get(x, MINOR_HALF) for x in vs]) + SETBACK
    i, j = (a.ravel() for a in np.meshgrid(np.arange(len(us) - 1), np.arange(len(vs) - 1), indexing="ij"))
    inner = np.column_stack([us[i] + hu[i], vs[j] + hv[j], us[i + 1] - hu[i + 1], vs[j + 1] - hv[j + 1]])
    outer = np.column_stack([us[i], vs[j], us[i + 1], vs[j + 1]])
    return inner, outer


def _buildable(boxes: Floats, terrain: Terrain, extent: Extent) -> NDArray[np.bool_]:
    """True where a box is off the wall's park, the rivers, the lake, the railway, the hills, and inside the extent."""
    inside = np.ones(len(boxes), dtype=bool)
    corners = [(boxes[:, a], boxes[:, b]) for a in (0, 2) for b in (1, 3)]
    centre = (0.5 * (boxes[:, 0] + boxes[:, 2]), 0.5 * (boxes[:, 1] + boxes[:, 3]))
    for u, v in [*corners, centre]:
        inside &= extent.inside(u, v, 30.0) & (shili_distance(u, v) > 120.0)
        inside &= np.hypot((u - LAKE[0]) / (LAKE[2] + 60), (v - LAKE[1]) / (LAKE[3] + 60)) > 1.12
        inside &= (u < yu_line(v) - 320.0) | (u > yu_line(v) + 320.0)
        inside &= terrain.hills(u, v) < 9.0
    park = (boxes[:, 0] < 1070) & (boxes[:, 2] > -1070) & (boxes[:, 1] < 1070) & (boxes[:, 3] > -1070)
    rail = (boxes[:, 1] < RAIL_V + 28.0) & (boxes[:, 3] > RAIL_V - 28.0)
    bank = (boxes[:, 2] < 1880.0) | (boxes[:, 0] > 2820.0)
    return inside & ~park & ~rail & bank


def _split(inner: Floats, outer: Floats, rng: np.random.Generator) -> Compounds:
    """Every block cut into compounds of about 240 m with an 11 m lane between them."""
    size = np.column_stack([inner[:, 2] - inner[:, 0], inner[:, 3] - inner[:, 1]])
    parts = np.maximum(1, np.round(size / 250.0).astype(int))
    count = parts.prod(axis=1)
    block = np.repeat(np.arange(len(inner)), count)
    k = np.arange(len(block)) - np.repeat(np.cumsum(count) - count, count)
    i, j = k % parts[block, 0], k // parts[block, 0]
    step = size[block] / parts[block]
    low = inner[block, :2] + np.column_stack([i, j]) * step
    gap = np.where(parts[block] > 1, 5.5, 0.0)
    box = np.hstack([low + gap, low + step - gap])
    return Compounds(box, np.zeros(len(block), dtype=np.int64), rng.random(len(block)), outer[block])


def _quarter(u: Floats, v: Floats) -> NDArray[np.int64]:
    near = np.hypot(u, v) < 2700.0
    return np.select([u > 2500.0, near, u < -2900.0, v < 0.0], [3, 0, 1, 2], 4)


def _urbanness(u: Floats, v: Floats, rng: np.random.Generator) -> Floats:
    """Smaller is more urban: distance to the archways, stretched along the western road and to the new east."""
    west = np.hypot(u * np.where(u < 0, 0.80, 1.0), v * 1.05)
    east = np.hypot((u - 4300.0) * 0.95, (v + 700.0) * 0.75) + 1500.0
    return np.minimum(west, np.where(u > 2400.0, east, np.inf)) + rng.uniform(0.0, 420.0, len(u))


def compounds(rng: np.random.Generator, terrain: Terrain, extent: Extent) -> tuple[Compounds, Floats]:
    """All plots one may build on, urban ones first, and their urbanness (k,) in metres."""
    inner, outer = _grid()
    every = _split(inner, outer, rng)
    every = every.take(_buildable(every.box, terrain, extent))
    u, v = 0.5 * (every.box[:, 0] + every.box[:, 2]), 0.5 * (every.box[:, 1] + every.box[:, 3])
    shares = np.cumsum(_SHARES / _SHARES.sum(axis=1, keepdims=True), axis=1)
    kind = (every.chance[:, None] > shares[_quarter(u, v)]).sum(axis=1)
    urban = _urbanness(u, v, rng)
    order = np.argsort(urban, kind="stable")
    graded = Compounds(every.box, kind, rng.random(len(kind)), every.block)
    return graded.take(order), urban[order]
