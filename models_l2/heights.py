"""How high every building is, from the best evidence there is, with the uncertainty of it and what contradicts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models_l2.storeys import storey_heights
from twin.analysis.heights import cells_inside, group_percentiles, points_inside, surface_at, zonal_percentiles
from twin.features import Objects
from twin.grid import Raster
from twin.options import option
from twin.points import PointCloud

Floats = NDArray[np.float64]

EVIDENCE = ("surveyed", "pointcloud", "dsm", "storeys", "neighbours", "default")
NEIGHBOURS = "高度取自邻近同类建筑 / height taken from neighbours of the same use"
DEFAULT = "缺少高度 / no height"
IMPLAUSIBLE = "实测高度不合理 / surveyed height out of range"
UNSEEN = "表面模型上未见建筑 / nothing as high as a building in the DSM"
CONFLICT = "高度证据矛盾 / height evidence in conflict"

_BUILDING, _NEVER, _UNASSIGNED = 6, 0, 1
_SPREAD = (16.0, 84.0)
# A ridge lies up to half a cell from the nearest centre: 0.17 of a cell in the mean square under a roof of 30 degrees.
_MISSED = 0.17


@dataclass(frozen=True, slots=True)
class HeightOptions:
    """What counts as evidence of a height, and how far it is trusted."""

    least: float = option(1.5, unit="m", min=0.1, max=5.0, doc="Heights below this are no buildings.")
    most: float = option(700.0, unit="m", min=50.0, max=1500.0, doc="Heights above this are errors.")
    surveyed_sigma: float = option(0.3, unit="m", min=0.01, max=10.0, doc="Uncertainty of a surveyed height.")
    points_percentile: float = option(
        90.0, unit="%", min=0.0, max=100.0, doc="Percentile of roof points that is the roof."
    )
    points_least: int = option(8, min=1, max=1000, doc="Fewer roof points than this are no evidence.")
    points_sigma: float = option(
        0.2, unit="m", min=0.01, max=10.0, doc="Uncertainty of a point survey, apart from scatter."
    )
    dsm_percentile: float = option(
        90.0, unit="%", min=0.0, max=100.0, doc="Percentile of DSM minus ground that is the roof."
    )
    dsm_least: int = option(4, min=1, max=1000, doc="Fewer DSM cells than this are no evidence.")
    dsm_sigma: float = option(0.4, unit="m", min=0.01, max=10.0, doc="Uncertainty of the DSM, apart from scatter.")
    storey_height: float = option(
        3.0,
        unit="m",
        min=2.2,
        max=8.0,
        doc="Height of one storey of a use that the table does not know.",
    )
    storey_sigma: float = option(0.6, unit="m", min=0.01, max=5.0, doc="How far that varies.")
    neighbours: int = option(
        8, min=3, max=100, doc="How many known buildings of the same use speak for an unknown one."
    )
    neighbour_reach: float = option(500.0, unit="m", min=10.0, max=10000.0, doc="How far away they may be.")
    neighbour_size: float = option(
        60.0, unit="m", min=0.0, max=1000.0, doc="A footprint of twice the size counts as this much further away."
    )
    default_height: float = option(6.0, unit="m", min=2.0, max=50.0, doc="Height where nothing is known.")
    default_sigma: float = option(4.0, unit="m", min=0.5, max=50.0, doc="Uncertainty of that.")
    conflict: float = option(3.0, unit="sigma", min=1.0, max=10.0, doc="Evidence further apart than this is reported.")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One kind of evidence for n buildings, NaN where silent.

    value    (n,) f8 m above ground          sigma   (n,) f8 m, uncertainty of the value
    spread   (n,) f8 m, how far the roof itself rises and falls about the value; 0 where nobody looked
    """

    value: Floats
    sigma: Floats
    spread: Floats

    @staticmethod
    def silent(n: int) -> Evidence:
        """Evidence that says nothing about any of n buildings."""
        return Evidence(np.full(n, np.nan), np.full(n, np.nan), np.zeros(n))


@dataclass(frozen=True, slots=True)
class Heights:
    """The verdict on n buildings.

    height     (n,) f8 m above ground, always known          sigma   (n,) f8 m
    evidence   (n,) str of EVIDENCE                          reason  (n,) str, "" where there is nothing to say
    conflict   (n,) bool, another kind of evidence lies too far away
    fallback   (n,) bool, delivered evidence could not be used, or none was delivered
    """

    height: Floats
    sigma: Floats
    evidence: Objects
    reason: Objects
    conflict: NDArray[np.bool_]
    fallback: NDArray[np.bool_]


def roof_points(
    cloud: PointCloud, polygons: Objects, ground_z: Floats, options: HeightOptions
) -> tuple[Floats, NDArray[np.int64]]:
    """Roof points (k, 3) f8 m inside footprints (n,), at least `least` above their ground, and the footprint of each.

    Points of class 6 count; in footprints with too few of them, unclassified points. Sorted by footprint.
    """
    n = len(polygons)
    found, owners, counts = [np.zeros((0, 3))], [np.zeros(0, np.int64)], np.zeros(n, np.int64)
    unclassified = (cloud.classification == _NEVER) | (cloud.classification == _UNASSIGNED)
    for chosen in (cloud.classification == _BUILDING, unclassified):
        asked = np.flatnonzero(counts < options.points_least)
        if not len(asked) or not chosen.any():
            continue
        xyz = cloud.xyz[chosen]
        owner, point = points_inside(xyz[:, :2], polygons[asked])
        high = xyz[point, 2] - ground_z[asked][owner] > options.least
        owner, point = asked[owner[high]], point[high]
        if len(found) > 1:
            kept = ~np.isin(owners[1], asked)
            found[1], owners[1] = found[1][kept], owners[1][kept]
        found.append(xyz[point])
        owners.append(owner.astype(np.int64))
        counts[asked] = np.bincount(owner, minlength=n)[asked]
    order = np.argsort(np.concatenate(owners), kind="stable")
    return np.concatenate(found)[order], np.concatenate(owners)[order]


def from_points(xyz: Floats, owner: NDArray[np.int64], ground_z: Floats, options: HeightOptions) -> Evidence:
    """Heights (n,) of roof points (k, 3) f8 m above the ground of the footprints they lie in; see `roof_points`."""
    above = xyz[:, 2] - ground_z[owner]
    found, counts = group_percentiles(above, owner, len(ground_z), [options.points_percentile, *_SPREAD])
    spread = 0.5 * (found[:, 2] - found[:, 1])
    return _trusted(found[:, 0], spread, counts >= options.points_least, options.points_sigma, counts)


def from_dsm(dsm: Raster, relief: Raster, polygons: Objects, options: HeightOptions) -> tuple[Evidence, Evidence]:
    """Heights (n,) of a surface model above the relief, over the cells inside each footprint.

    dsm       m, unknown cells do not count          relief   m, without unknown cells
    returns   heights of what stands out; and, where nothing does, the little that is there
    source    a building is there where half of its cells stand out, so that a tree over its edge raises none; its
              height is that of the upper roof, as that of points and of a survey is
    """
    wanted = [options.dsm_percentile, *_SPREAD, 50.0]
    found, counts = zonal_percentiles(
        polygons, dsm.geobox, lambda xy: dsm.sample(xy, "nearest") - surface_at(relief, xy), wanted
    )
    enough, spread = counts >= options.dsm_least, 0.5 * (found[:, 2] - found[:, 1])
    stands_out = found[:, 3] >= options.least
    missed = _MISSED * max(dsm.geobox.resolution)
    high = _trusted(found[:, 0], spread, enough & stands_out, float(np.hypot(options.dsm_sigma, missed)), counts)
    little = np.maximum(found[:, 2], options.least)
    return high, _trusted(little, little, enough & ~stands_out, options.dsm_sigma, np.ones_like(counts))


def dsm_points(
    dsm: Raster, polygons: Objects, ground_z: Floats, options: HeightOptions
) -> tuple[Floats, NDArray[np.int64]]:
    """Centres (k, 3) f8 m of the DSM cells inside footprints (n,) that stand out from their ground, and the footprint
    of each, ascending."""
    owner, row, col = cells_inside(polygons, dsm.geobox)
    x, y = dsm.geobox.centers()
    z = np.where(dsm.valid, dsm.values, np.nan).astype(np.float64)[row, col]
    high = z - ground_z[owner] > options.least
    return np.column_stack([x[col], y[row], z])[high], owner[high]


def from_storeys(storeys: Floats, function: Objects, surveyed: Evidence, options: HeightOptions) -> Evidence:
    """Heights (n,) of storeys, by use, as the city's own surveyed buildings and the table of uses have them."""
    other = (options.storey_height, options.storey_sigma)
    value, sigma = storey_heights(storeys, surveyed.value, function, other)
    # Whole centimetres: one survey more moves the line of a use by less, and then no other building.
    return Evidence(np.round(value, 2), np.round(sigma, 2), np.zeros(len(value)))


def decide(
    evidence: Mapping[str, Evidence], surveyed: Floats, function: Objects, place: Floats, options: HeightOptions
) -> Heights:
    """The first kind of evidence that speaks, in the order of EVIDENCE; what is left is asked of the neighbours.

    evidence   kinds among the first four of EVIDENCE, each for all n buildings; "low" is the little that a DSM shows
               where it shows no building, and is asked before the neighbours
    surveyed   (n,) f8 m as delivered, to name the implausible ones
    function   (n,) str use                place   (n, 3) f8, x and y in m and footprint area in m2
    """
    n = len(place)
    height, sigma = np.full(n, np.nan), np.full(n, np.nan)
    kind, reason = np.full(n, "", dtype=object), np.full(n, "", dtype=object)
    for name in EVIDENCE[:4]:
        if name in evidence:
            speaks = np.isnan(height) & np.isfinite(evidence[name].value)
            height[speaks], sigma[speaks] = evidence[name].value[speaks], evidence[name].sigma[speaks]
            kind[speaks] = name
    conflict = _conflicts(evidence, height, sigma, options)
    reason[conflict] = CONFLICT
    odd = np.isfinite(surveyed) & ~np.isfinite(plausible(surveyed, options).value)
    _note(reason, odd, [f"{IMPLAUSIBLE}: {value:g} m" for value in surveyed[odd].tolist()])
    near = from_neighbours(height, function, place, options)
    rest = np.isnan(height)
    fallback = odd | rest
    low = evidence.get("low", Evidence.silent(n))
    for name, value, spread, text in (
        ("dsm", low.value, low.sigma, UNSEEN),
        ("neighbours", near.value, near.sigma, NEIGHBOURS),
        ("default", np.full(n, options.default_height), np.full(n, options.default_sigma), DEFAULT),
    ):
        speaks = rest & np.isfinite(value)
        height[speaks], sigma[speaks], kind[speaks] = value[speaks], spread[speaks], name
        _note(reason, speaks, [text] * int(speaks.sum()))
        rest &= ~speaks
    return Heights(height, sigma, kind, reason, conflict, fallback)


def shapes(evidence: Mapping[str, Evidence], heights: Heights) -> Objects:
    """(n,) what the shape of each roof may be taken from: "pointcloud", "dsm", or "" where nothing measured it.

    A surveyed height goes before points that contradict it; then their shape is not trusted either.
    """
    shape = np.full(len(heights.height), "", dtype=object)
    for name in ("dsm", "pointcloud"):
        if name in evidence:
            agrees = (heights.evidence == name) | ((heights.evidence == "surveyed") & ~heights.conflict)
            shape[agrees & np.isfinite(evidence[name].value)] = name
    return shape


def _note(reason: Objects, rows: NDArray[np.bool_], texts: list[str]) -> None:
    """Append texts (k,) to the reasons of k rows, in place."""
    pairs = zip(reason[rows].tolist(), texts, strict=True)
    reason[rows] = [f"{before}; {text}" if before else text for before, text in pairs]


def plausible(surveyed: Floats, options: HeightOptions) -> Evidence:
    """Surveyed heights (n,) within the allowed range, others silent."""
    value = np.where((surveyed >= options.least) & (surveyed <= options.most), surveyed, np.nan)
    return Evidence(value, np.where(np.isfinite(value), options.surveyed_sigma, np.nan), np.zeros(len(value)))


def from_neighbours(height: Floats, function: Objects, place: Floats, options: HeightOptions) -> Evidence:
    """Median height of the nearest buildings of the same use whose height (n,) is known, for the others.

    place   (n, 3) f8: x and y in m, footprint area in m2; a footprint of twice the area counts as further away
    """
    value, sigma = np.full(len(place), np.nan), np.full(len(place), np.nan)
    known, placed = np.isfinite(height), np.isfinite(place).all(axis=1) & (place[:, 2] > 0.0)
    place = np.where(placed[:, None], place, 1.0)
    place = np.column_stack([place[:, :2], options.neighbour_size * np.log2(place[:, 2])])
    for use in sorted(set(function[~known].tolist())):
        same = (function == use) & placed
        givers, askers = np.flatnonzero(same & known), np.flatnonzero(same & ~known)
        if len(givers) < 3 or not len(askers):
            continue
        _, found_at = cKDTree(place[givers]).query(
            place[askers], k=min(options.neighbours, len(givers)), distance_upper_bound=options.neighbour_reach
        )
        heard = np.append(height[givers], np.nan)[found_at]
        owner = np.repeat(np.arange(len(askers)), heard.shape[1])
        found, counts = group_percentiles(heard.ravel(), owner, len(askers), [50.0, *_SPREAD])
        enough = counts >= 3
        value[askers] = np.where(enough, found[:, 0], np.nan)
        sigma[askers] = np.where(enough, np.hypot(0.5 * (found[:, 2] - found[:, 1]), 1.0), np.nan)
    return Evidence(value, sigma, np.zeros(len(value)))


def _trusted(
    value: Floats, spread: Floats, enough: NDArray[np.bool_], base: float, counts: NDArray[np.int64]
) -> Evidence:
    sigma = np.hypot(base, spread / np.sqrt(np.maximum(counts, 1)))
    return Evidence(np.where(enough, value, np.nan), np.where(enough, sigma, np.nan), np.where(enough, spread, 0.0))


def _conflicts(
    evidence: Mapping[str, Evidence], height: Floats, sigma: Floats, options: HeightOptions
) -> NDArray[np.bool_]:
    """(n,) True where a kind of evidence lies more than `conflict` sigma away from what was taken.

    The rise of a roof is no conflict: a ridge surveyed and a mean roof measured may both be right.
    """
    apart = np.zeros(len(height), bool)
    rise = np.max([other.spread for other in evidence.values()], axis=0)
    for other in evidence.values():
        apart |= np.abs(other.value - height) > options.conflict * np.hypot(sigma, other.sigma) + 2.0 * rise
    return apart
