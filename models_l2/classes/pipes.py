"""Pipes under the ground as closed tubes: how deep and how thick each lies, and how that is known."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.classes.options import ClassOptions
from models_l2.classes.tubes import Tubes, may_bend, raise_tubes
from models_l2.ground import read_relief
from twin.analysis.shells import CODES, check_shells
from twin.features import Layer, Objects, objects
from twin.frames import Frame
from twin.grid import Raster
from twin.meshes import Solids, Surface, concatenate
from twin.outcome import Outcome
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

# A tube of the delivered diameter is LoD2, one of a usual diameter only shows where the pipe runs.
LOD_KNOWN, LOD_USUAL = 20, 10
STAGE = "pipes"
THIN = 0.02
SHARP = "转折太急,分段建模 / turns too sharply for one tube, built as straight pieces"
# What is less above the ground lies within the accuracy of a relief, m.
BURIED = 0.1
ABOVE = "部分高出地面,请核对埋深与高程基准 / comes above the ground, check its depth and datum"
USUAL_DEPTH = "埋深缺失,按规范最小覆土 / no depth told, least cover of its medium taken"


@dataclass(frozen=True, slots=True)
class Medium:
    """What stands in where a pipe tells nothing: diameter in mm, cover in m, and what depths are measured to."""

    diameter: float
    cover: float
    reference: str


@dataclass(frozen=True, slots=True)
class PipeJob:
    """What one worker needs to raise the pipes of a cell."""

    store: Store
    frame: Frame
    cell: str
    layer: Layer
    options: ClassOptions


@dataclass(frozen=True, slots=True)
class Piped:
    """The tubes of a cell and what became of its pipes; `unknown` counts those without depth or diameter."""

    solids: Solids
    outcomes: tuple[Outcome, ...]
    without_depth: int
    without_diameter: int
    above_ground: int


@cache
def media() -> Mapping[str, Medium]:
    """medium -> what stands in for it."""
    text = resources.files(__package__).joinpath("media.csv").read_text(encoding="utf-8")
    return {
        row["medium"]: Medium(float(row["diameter_mm"]), float(row["cover_m"]), row["reference"])
        for row in csv.DictReader(text.splitlines())
    }


def pipe_jobs(store: Store, frame: Frame, layer: Layer, cell_size: float, options: ClassOptions) -> Iterator[PipeJob]:
    """One job a cell, sorted; a pipe belongs where the middle of its bounds lies."""
    boxes = shapely.bounds(layer.geometry)
    middle = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2.0 / cell_size).astype(np.int64)
    cells, place = np.unique(middle, axis=0, return_inverse=True)
    for number, (ix, iy) in enumerate(cells.tolist()):
        rows = np.flatnonzero(place.reshape(-1) == number)
        rows = rows[np.argsort(layer.oid[rows].astype(str), kind="stable")]
        yield PipeJob(store, frame, f"c_{ix}_{iy}", layer.take(rows), options)


def lay_pipes(job: PipeJob) -> Piped:
    """Closed tubes of the pipes of a cell, `oid` of each, or "oid~2" ... where one had to be built in pieces.

    depth       levels of the source where it tells both ends, else depths below the relief, else the least cover of the
                medium. Drains run straight from end to end, other pipes follow the ground between their ends
    reference   depths and levels are to the top, the axis or the invert of the pipe, as the source says; where it is
                silent to the invert of drains and to the top of others (CJJ 61)
    checked     by `check_shells`; a tube that turns too sharply, or cuts itself, comes as one prism a straight piece
    """
    layer = job.layer
    box = shapely.total_bounds(layer.geometry)
    relief = read_relief(job.store, (float(box[0]), float(box[1]), float(box[2]), float(box[3])))[1]
    kinds = [media().get(word, media()["other"]) for word in layer.column("medium").tolist()]
    told = layer.column("diameter") > 0.0
    radius = np.where(told, layer.column("diameter"), [kind.diameter for kind in kinds]) / 2000.0
    xy, line = shapely.get_coordinates(_followed(layer, kinds, job.options), return_index=True)
    xyz, guessed = _levels(layer, kinds, radius, (xy, line), relief)
    xyz, line = _thinned(xyz, line)
    counts = np.bincount(line, minlength=len(layer)).astype(np.int64)
    solids, split, broken = _raised(job, xyz, counts, radius, np.where(told, LOD_KNOWN, LOD_USUAL))
    reasons = dict.fromkeys(split.tolist(), SHARP)
    above = _above_ground(xyz, counts, radius, relief, job.options.pipe_step)
    for rows, why in ((guessed, USUAL_DEPTH), (above, ABOVE)):
        for row in np.flatnonzero(rows).tolist():
            reasons[row] = "; ".join(filter(None, (reasons.get(row, ""), why)))
    outcomes = [Outcome(str(layer.oid[row]), "fallback", why, STAGE) for row, why in sorted(reasons.items())]
    outcomes += [Outcome(oid, "failed", CODES[code], STAGE) for oid, code in broken]
    return Piped(solids, tuple(outcomes), int(guessed.sum()), int((~told).sum()), int(above.sum()))


def _above_ground(xyz: Floats, counts: Integers, radius: Floats, relief: Raster, step: float) -> Mask:
    """(n,) True where the top of a pipe comes above the ground somewhere along it, looked at every `step`, m."""
    lines = shapely.linestrings(xyz, indices=np.repeat(np.arange(len(counts)), counts))
    places, line = shapely.get_coordinates(shapely.segmentize(lines, step), include_z=True, return_index=True)
    high = places[:, 2] + radius[line] > relief.sample(places[:, :2]) + BURIED
    return np.bincount(line, weights=high, minlength=len(counts)) > 0


def _followed(layer: Layer, kinds: list[Medium], options: ClassOptions) -> Objects:
    """The lines, those of pressure pipes with vertices close enough to follow the ground."""
    drains = np.array([kind.reference == "invert" for kind in kinds])
    absolute = np.isfinite(layer.column("level_start")) & np.isfinite(layer.column("level_end"))
    geometry = shapely.remove_repeated_points(layer.geometry, THIN)
    rows = np.flatnonzero(~drains & ~absolute)
    geometry[rows] = shapely.segmentize(geometry[rows], options.pipe_step)
    return geometry


def _levels(
    layer: Layer, kinds: list[Medium], radius: Floats, vertices: tuple[Floats, Integers], relief: Raster
) -> tuple[Floats, Mask]:
    """(k, 3) axis of every pipe, and (n,) True where its depth is only usual."""
    xy, line = vertices
    share = _shares(xy, line)
    first, last = (
        np.searchsorted(line, np.arange(len(layer))),
        np.searchsorted(line, np.arange(len(layer)), "right") - 1,
    )
    ground = relief.sample(xy)
    usual = np.array([kind.cover for kind in kinds])
    start, end = layer.column("depth_start").copy(), layer.column("depth_end").copy()
    start, end = np.where(np.isnan(start), end, start), np.where(np.isnan(end), start, end)
    levels = layer.column("level_start"), layer.column("level_end")
    absolute = np.isfinite(levels[0]) & np.isfinite(levels[1])
    guessed = np.isnan(start) & ~absolute
    up = _above_axis(layer, kinds, radius)
    # The least cover is to the top of a pipe, whatever the source measures to.
    start, end = np.where(guessed, usual + radius - up, start), np.where(guessed, usual + radius - up, end)
    straight = absolute | np.array([kind.reference == "invert" for kind in kinds])
    begin = np.where(absolute, levels[0], ground[first] - start)
    finish = np.where(absolute, levels[1], ground[last] - end)
    flat = begin[line] + share * (finish - begin)[line]
    bent = ground - (start[line] + share * (end - start)[line])
    z = np.where(straight[line], flat, bent) - up[line]
    return np.column_stack([xy, z]), guessed


def _above_axis(layer: Layer, kinds: list[Medium], radius: Floats) -> Floats:
    """(n,) how far the point that depths are measured to lies above the axis, m."""
    words = [word or kind.reference for word, kind in zip(layer.column("reference").tolist(), kinds, strict=True)]
    sign = {"top": 1.0, "axis": 0.0, "invert": -1.0}
    return np.array([sign[word] for word in words]) * radius


def _shares(xy: Floats, line: Integers) -> Floats:
    """(k,) part of its line that lies before each vertex, 0 to 1."""
    step = np.sqrt((np.diff(xy, axis=0) ** 2).sum(axis=1)) * (line[1:] == line[:-1])
    run = np.concatenate([[0.0], np.cumsum(step)])
    first, last = np.searchsorted(line, line), np.searchsorted(line, line, "right") - 1
    whole = run[last] - run[first]
    return np.asarray((run - run[first]) / np.where(whole > 0.0, whole, 1.0))


def _thinned(xyz: Floats, line: Integers) -> tuple[Floats, Integers]:
    """The same lines without vertices that lie within THIN of the way (Douglas-Peucker, in plan and in profile)."""
    step = np.sqrt((np.diff(xyz[:, :2], axis=0) ** 2).sum(axis=1)) * (line[1:] == line[:-1])
    run = np.column_stack([np.concatenate([[0.0], np.cumsum(step)]), xyz[:, 2]])
    keep = np.zeros(len(xyz), bool)
    for flat in (xyz[:, :2], run):
        simple = shapely.simplify(shapely.linestrings(flat, indices=line), THIN, preserve_topology=False)
        keep |= _kept(flat, line, simple)
    return xyz[keep], line[keep]


def _kept(xy: Floats, line: Integers, simple: Objects) -> Mask:
    """(k,) True where a vertex is still one of the simplified line."""
    left, owner = shapely.get_coordinates(simple, return_index=True)
    both = np.concatenate([np.column_stack([line, xy]), np.column_stack([owner, left])])
    _, place = np.unique(both, axis=0, return_inverse=True)
    place = place.reshape(-1)
    return np.isin(place[: len(xy)], place[len(xy) :])


def _raised(
    job: PipeJob, xyz: Floats, counts: Integers, radius: Floats, lod: Integers
) -> tuple[Solids, Integers, list[tuple[str, int]]]:
    """Tubes, the rows that came in pieces, and (oid, error) of pipes with a piece that stays wrong."""
    whole = _solids(job, xyz, counts, radius, np.arange(len(counts)), lod)
    sound = may_bend(xyz, counts, radius) & (check_shells(whole) == 0)
    split = np.flatnonzero(~sound)
    if not len(split):
        return whole, split, []
    line = np.repeat(np.arange(len(counts)), counts)
    starts = np.flatnonzero((line[:-1] == line[1:]) & ~sound[line[:-1]])
    pieces = xyz[np.column_stack([starts, starts + 1]).reshape(-1)]
    owner = line[starts]
    parts = _solids(job, pieces, np.full(len(starts), 2), radius[owner], owner, lod)
    codes = check_shells(parts)
    broken = [(str(parts.attributes["owner"][k]), int(codes[k])) for k in np.flatnonzero(codes).tolist()]
    solids = concatenate([whole.take(np.flatnonzero(sound)), parts.take(np.flatnonzero(codes == 0))])
    return solids.take(np.argsort(solids.oid.astype(str), kind="stable")), split, broken


def _solids(job: PipeJob, xyz: Floats, counts: Integers, radius: Floats, row: Integers, lod: Integers) -> Solids:
    tubes: Tubes = raise_tubes(xyz, counts, radius)
    before = np.arange(len(row)) - np.searchsorted(row, row)
    names = job.layer.oid[row]
    oid = [f"{name}~{k + 1}" if k else name for name, k in zip(names.tolist(), before.tolist(), strict=True)]
    m = len(tubes.faces)
    return Solids(
        frame=job.frame,
        oid=objects(oid),
        vertices=tubes.vertices,
        faces=tubes.faces.astype(np.int32),
        surface=np.full(m, Surface.OTHER, np.uint8),
        vertex_offset=np.concatenate([[0], np.cumsum(tubes.vertex_count)]).astype(np.int64),
        face_offset=np.concatenate([[0], np.cumsum(tubes.face_count)]).astype(np.int64),
        lod=lod[row].astype(np.uint8),
        material=np.zeros(m, np.uint8),
        attributes={
            "owner": names, "medium": job.layer.column("medium")[row], "diameter_mm": 2000.0 * radius,
        },
    )  # fmt: skip
