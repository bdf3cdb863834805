"""How high the ground stands at buildings, where their delivery knows: a column, or the heights of 3D outlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # its parts are loaded where they are first used, which takes 0.2 s and more
import shapely
from numpy.typing import NDArray

from ingest.conform import Table, vertical_shift
from ingest.reading import Delivery, RawTable
from twin.datums import vertical_of
from twin.errors import SourceError
from twin.frames import Frame

Floats = NDArray[np.float64]

COLUMN = "terrain_height"
MEANINGS = ("base", "roof", "none")
# From below the Dead Sea to the summit of Everest.
LOWEST, HIGHEST = -450.0, 8900.0
_STOREY = 3.0
_NEIGHBOURS, _FEWEST_PAIRS, _LEAST_STEP, _FOLLOWS = 3, 10, 2.0, 0.3


@dataclass(frozen=True, slots=True)
class Bases:
    """Ground at n buildings, and how it is known.

    values   (n,) f8 frame m above the vertical datum, NaN where unknown; None where nothing is known
    steps    words for the lineage
    lines    warnings
    """

    values: Floats | None = None
    steps: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


def bases_of(raw: RawTable, columns: Table, delivery: Delivery, frame: Frame) -> Bases:
    """The ground at the buildings of a table: column `terrain_height` where one is mapped, else the outlines' heights.

    columns   as `columns_of` gave them, lengths in m
    raises    SourceError where a mapped column is in a datum that cannot be brought to the frame's, or `extra.z` is no
              word of MEANINGS
    """
    values, words = columns.get(COLUMN), f"ground at buildings from column {delivery.source.columns.get(COLUMN)}"
    mapped = values is not None
    if values is None:
        values, words = _of_outlines(raw, columns, delivery)
    if values is None or np.isnan(known := plausible(values)).all():
        return Bases(np.full(len(raw), np.nan) if mapped else None)
    try:
        shift, step = vertical_shift(delivery, frame, raw.shown, vertical_of(raw.crs))
    except SourceError as err:
        if mapped:
            raise
        return Bases(lines=(f"{err} (heights of the outlines are not used)",))
    counted = f"{words}, known for {int(np.isfinite(known).sum())} of {len(raw)}"
    return Bases(known + shift, (counted, *filter(None, (step,))))


def plausible(values: Floats) -> Floats:
    """The same heights (n,) m without those that are none: 0, as -9999 a bureau's word for missing, and wild ones."""
    with np.errstate(invalid="ignore"):
        return np.where((values >= LOWEST) & (values <= HIGHEST) & (values != 0.0), values, np.nan)


def _of_outlines(raw: RawTable, columns: Table, delivery: Delivery) -> tuple[Floats | None, str]:
    """(heights (n,) m of the ground or None, in words where they are from)."""
    wanted = str(delivery.source.extra.get("z", ""))
    if wanted not in ("", *MEANINGS):
        raise SourceError(f'source "{delivery.source.name}": extra.z {wanted!r} is none of {", ".join(MEANINGS)}')
    if wanted == "none" or not shapely.has_z(raw.geometry).any():
        return None, ""
    xyz, owner = shapely.get_coordinates(raw.geometry, include_z=True, return_index=True)
    start = np.flatnonzero(np.diff(owner, prepend=-1))
    low = np.full(len(raw), np.nan)
    low[owner[start]] = np.fmin.reduceat(xyz[:, 2], start) * delivery.scale()
    low, tall = plausible(low), _tall(columns, len(raw))
    meaning = wanted or ("roof" if _follow(shapely.get_coordinates(shapely.centroid(raw.geometry)), low, tall) else "")
    if meaning == "roof":
        how = "as declared" if wanted else "they rise and fall with the heights of the buildings"
        return low - tall, f"ground at buildings from heights of the outlines' roof edge less the building ({how})"
    return low, f"ground at buildings from heights of the outlines ({'as declared' if wanted else 'taken as bases'})"


def _tall(columns: Table, n: int) -> Floats:
    """(n,) f8 m, height of the buildings above ground, from storeys where it is not delivered."""
    unknown: NDArray[Any] = np.full(n, np.nan)
    height, storeys = columns.get("height", unknown), columns.get("storeys", unknown)
    tall = np.where(np.nan_to_num(height) > 0.0, height, _STOREY * storeys)
    return np.where(np.nan_to_num(tall) > 0.0, tall, np.nan)


def _follow(xy: Floats, z: Floats, tall: Floats) -> bool:
    """Whether heights of outlines are those of roofs: of two neighbours the taller one then lies higher by as much.

    xy, z, tall   (n, 2) any unit, (n,) m, (n,) m
    rule          the median of step in z over step in height between near neighbours is above 0.3; in 200 windows each
                  of 1 km (0.5 km) on a hilly commune of BD TOPO this called roof edges ground in 1 (4) and ground roof
                  edges in none
    """
    some = np.isfinite(z) & np.isfinite(tall) & np.isfinite(xy).all(axis=1)
    if some.sum() <= _NEIGHBOURS:
        return False
    near = scipy.spatial.cKDTree(xy[some]).query(xy[some], _NEIGHBOURS + 1)[1][:, 1:]
    rise, step = (values[some][:, None] - values[some][near] for values in (z, tall))
    pairs = np.abs(step) > _LEAST_STEP
    return bool(pairs.sum() >= _FEWEST_PAIRS and np.median(rise[pairs] / step[pairs]) > _FOLLOWS)
