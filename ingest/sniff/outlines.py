"""Layers that would lie better on their neighbours in another map datum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.datums import MAP_DATUMS, datum_name, is_degrees
from twin.features import Layer
from twin.frames import (
    Frame,
    bd09_from_gcj02,
    gcj02_from_wgs84,
    to_frame,
)
from twin.grid import Bounds

Floats = NDArray[np.float64]

WGS84 = "EPSG:4326"
_REACH = 1_500.0  # m: the shift of GCJ-02 is below 750 m in China, that of BD-09 below 1,500 m
_STEP = 25.0
_SAMPLE = 3_000
_FEATURES = 20_000
_NEAR = (1.0, 5.0, 25.0)
_GAIN = 0.10
_ODDS = 5.0
_PEAK = 2.0
_ENOUGH = 30
_TOGETHER = frozenset(
    frozenset(pair)
    for pair in (
        ("division", "road"), ("division", "population"), ("division", "landuse"), ("landuse", "green"),
        ("landuse", "water"), ("water", "river"), ("address", "building"), ("facility", "building"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placed:
    """A layer of one source in the frame, and the CRS or map datum that its declaration (or its file) stated."""

    source: str
    crs: str
    layer: Layer


@dataclass(frozen=True, slots=True)
class Fit:
    """How well outlines lie on others: as declared and in another datum.

    datum       the other datum
    share       (as declared, in the other datum): share of the outline within `within` m of the others' outline
    median      (as declared, in the other datum): median distance, m, of the stretch that lies on it in the other datum
    """

    datum: str
    within: float
    share: tuple[float, float]
    median: tuple[float, float]


def sniff_datums(placed: Sequence[Placed]) -> list[str]:
    """One warning for each source whose outlines fit those of another source clearly better in another datum.

    Only sources in degrees are looked at: GeoJSON and tables are where GCJ-02 and BD-09 hide.
    source  distances between outlines, with and without the shift of the map datum
    """
    warnings = []
    for suspect in placed:
        declared = declared_datum(suspect.crs)
        if not declared or not len(suspect.layer):
            continue
        best: tuple[Fit, Placed] | None = None
        for other in placed:
            if other.source != suspect.source and len(other.layer) and _comparable(suspect.layer, other.layer):
                fit = better_datum(suspect.layer, declared, other.layer)
                if fit is not None and (best is None or fit.share[1] > best[0].share[1]):
                    best = fit, other
        if best is not None:
            warnings.append(_line(suspect, *best))
    return warnings


def sniff_blind(placed: Sequence[Placed], surface: bool) -> list[str]:
    """One line where the map datum of a city in CGCS2000 cannot be checked: all sources share it, none is surveyed.

    surface     whether a fine surface model lies beside them
    """
    datums = {declared_datum(part.crs) for part in placed if len(part.layer)}
    frame = placed[0].layer.frame if placed else None
    national = frame is not None and datum_name(frame.crs) == "China 2000"
    if surface or not national or len(datums) != 1 or datums == {""}:
        return []
    return [
        f"every source with outlines is declared {datums.pop()} and none is in a projected CRS: whether all of them "
        "are in GCJ-02 or BD-09 cannot be noticed; compare one corner with a survey, a picture or GPS"
    ]


def _comparable(a: Layer, b: Layer) -> bool:
    """Whether outlines of two feature classes run together where both are right."""
    return a.name == b.name or frozenset((a.name, b.name)) in _TOGETHER


def _line(suspect: Placed, fit: Fit, other: Placed) -> str:
    return (
        f"{suspect.source}: declared {suspect.crs}, but its outlines lie on those of {other.source} when read as "
        f"{fit.datum}: median distance {fit.median[0]:.0f} m as declared, {fit.median[1]:.0f} m as {fit.datum} "
        f'on {fit.share[1]:.0%} of them; if the source is {fit.datum}, declare crs = "{fit.datum}"'
    )


def better_datum(suspect: Layer, declared: str, other: Layer) -> Fit | None:
    """The datum in which outlines of `suspect` lie clearly better on those of `other`, None where the declared is fine.

    declared    "EPSG:4326" (or its twin EPSG:4490), "GCJ-02" or "BD-09": what the suspect was read as
    Clearly is: at 1, 5 or 25 m a tenth more of the outline lies on the other, with five times the odds, and with twice
    the odds of slides of the same length in other directions.
    """
    window = _window(suspect.bounds, other.bounds)
    if window is None:
        return None
    points = outline_points(suspect, window)
    if len(points) < _ENOUGH:
        return None
    reference = _outlines(other, window, solid=bool((shapely.get_dimensions(suspect.geometry) == 0).all()))
    if not len(reference):
        return None
    tree = shapely.STRtree(reference)
    base = distances(points, tree)
    fits = (_fit(datum, points, moved, base, tree) for datum, moved in other_readings(points, declared, suspect.frame))
    found = [fit for fit in fits if fit is not None]
    return max(found, key=lambda fit: (fit.share[1], -fit.within), default=None)


def _fit(datum: str, points: Floats, moved: Floats, base: Floats, tree: shapely.STRtree) -> Fit | None:
    after = distances(moved, tree)
    n = len(points)
    for within in _NEAR:
        here, there = int(np.count_nonzero(base <= within)), int(np.count_nonzero(after <= within))
        if there < _ENOUGH or there - here < _GAIN * n or _odds(there, n) < _ODDS * _odds(here, n):
            continue
        stretch = after <= 4.0 * within
        median = (float(np.median(base[stretch])), float(np.median(after[stretch])))
        chance = max(int(np.count_nonzero(slid <= within)) for slid in _slid(points, moved, tree))
        if median[1] <= within and _odds(there, n) >= _PEAK * _odds(chance, n):
            return Fit(datum, within, (here / n, there / n), median)
    return None


def _odds(count: int, n: int) -> float:
    return (count + 0.5) / (n - count + 0.5)


def _slid(points: Floats, moved: Floats, tree: shapely.STRtree) -> Iterator[Floats]:
    """Distances after slides as long as the datum's, in seven other directions: what chance alone brings."""
    shift = moved - points
    for turn in np.radians(np.arange(45.0, 360.0, 45.0)):
        turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        yield distances(points + shift @ turned, tree)


def declared_datum(crs: str) -> str:
    """The datum a source in degrees was read in; "" for every other source."""
    if crs in MAP_DATUMS:
        return crs
    return WGS84 if is_degrees(crs) else ""


def other_readings(points: Floats, declared: str, frame: Frame) -> Iterator[tuple[str, Floats]]:
    """The same numbers read in each of the other datums: (datum, frame points)."""
    numbers = frame.to_lonlat(points)
    if declared != WGS84:
        numbers = gcj02_from_wgs84(numbers)
    if declared == "BD-09":
        numbers = bd09_from_gcj02(numbers)
    for datum in (WGS84, *MAP_DATUMS):
        if datum != declared:
            yield datum, to_frame(numbers, datum, frame)


def outline_points(layer: Layer, window: Bounds) -> Floats:
    """Points (n, 2) every 25 m along the outlines of a layer (or its points) inside a window, at most 3,000."""
    lines = _outlines(layer, window)
    dense = np.where(shapely.get_dimensions(lines) == 0, lines, shapely.segmentize(lines, _STEP))
    points = shapely.get_coordinates(dense)
    west, south, east, north = window
    x, y = points.T
    points = points[(x >= west) & (x <= east) & (y >= south) & (y <= north)]
    return points[:: max(1, -(-len(points) // _SAMPLE))]


def distances(points: Floats, tree: shapely.STRtree) -> Floats:
    """Distance (n,) m of points (n, 2) to the nearest geometry of a tree."""
    result = np.full(len(points), np.inf)
    rows, found = tree.query_nearest(shapely.points(points), return_distance=True, all_matches=False)
    result[rows[0]] = found
    return result


def _outlines(layer: Layer, window: Bounds, solid: bool = False) -> NDArray[np.object_]:
    """Single outlines of the features that meet a window; polygons stay whole where `solid`."""
    near = layer.geometry[shapely.intersects(shapely.envelope(layer.geometry), shapely.box(*window))]
    if len(near) > _FEATURES:
        middle = np.median(shapely.get_coordinates(shapely.centroid(near)), axis=0)
        order = np.argsort(shapely.distance(near, shapely.points(middle)), kind="stable")
        near = near[np.sort(order[:_FEATURES])]
    parts = shapely.get_parts(near)
    if not solid:
        parts = np.where(shapely.get_dimensions(parts) == 2, shapely.boundary(parts), parts)
        parts = shapely.get_parts(parts)
    cut = shapely.clip_by_rect(parts, *window) if not solid else parts
    return shapely.get_parts(cut[~shapely.is_empty(cut)])


def _window(a: Bounds, b: Bounds) -> Bounds | None:
    """Where both can meet if one of them is shifted by a map datum."""
    west, south = max(a[0], b[0]) - _REACH, max(a[1], b[1]) - _REACH
    east, north = min(a[2], b[2]) + _REACH, min(a[3], b[3]) + _REACH
    return (west, south, east, north) if west < east and south < north else None
