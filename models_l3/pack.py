"""From meshes and house arrays to Solids with their evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_l3.evidence import level, uncertainty
from models_l3.hall import Part
from models_l3.houses import HouseTable, house_arrays
from models_l3.mesh import Mesh
from models_l3.style import Style
from twin.features import objects
from twin.frames import Frame
from twin.meshes import Solids

Array = NDArray[np.float64]
LOD = 30
TEXTS = ("owner", "part", "name", "evidence", "fabric", "sources", "rules", "choices", "era", "roof_type")


@dataclass(frozen=True, slots=True)
class Placed:
    """A built object in the frame: its parts moved to their place, and what is said of all of them.

    owner   oid of the city object; texts as in TEXTS without owner, part and evidence; sigma in m
    """

    owner: str
    parts: tuple[Part, ...]
    texts: Mapping[str, str]
    sigma: float


def placed(owner: str, name: str, style: Style, parts: Sequence[Part], at: tuple[Array, float]) -> Placed:
    """Parts of a building turned by an angle and moved to a point (3,), with the words of its style."""
    origin, angle = at
    moved = tuple(Part(p.kind, p.mesh.turned(angle).moved(*origin), p.evidence) for p in parts)
    texts = {
        "name": name or style.name,
        "fabric": style.fabric,
        "sources": style.sources,
        "rules": style.rules,
        "choices": style.choices,
        "era": style.era,
        "roof_type": style.roof,
    }
    return Placed(owner, moved, texts, style.sigma)


def solids_of(items: Sequence[Placed], frame: Frame) -> Solids:
    """One batch with a solid per part; oid is "<owner>/<part>"."""
    flat = [(item, part) for item in items for part in item.parts]
    meshes: list[Mesh] = [part.mesh for _, part in flat]
    columns: dict[str, list[str]] = {key: [] for key in TEXTS}
    for item, part in flat:
        row = {"owner": item.owner, "part": part.kind, "evidence": part.evidence, **item.texts}
        for key in TEXTS:
            columns[key].append(row.get(key, ""))
    start = np.cumsum([0, *(len(m.vertices) for m in meshes)]).astype(np.int64)
    return Solids(
        frame,
        objects([f"{item.owner}/{part.kind}" for item, part in flat]),
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + first for m, first in zip(meshes, start, strict=False)]).astype(np.int32),
        np.concatenate([m.surface for m in meshes]),
        start,
        np.cumsum([0, *(len(m.faces) for m in meshes)]).astype(np.int64),
        np.full(len(flat), LOD, np.uint8),
        np.concatenate([m.material for m in meshes]),
        {
            **{key: objects(values) for key, values in columns.items()},
            "evidence_u": np.array([level(part.evidence) for _, part in flat]),
            "sigma_m": np.array([item.sigma for item, _ in flat]),
        },
    )


def evidence_of(items: Sequence[Placed]) -> dict[str, dict[str, Any]]:
    """What is said of each object by its oid: texts, evidence of every part, volume-weighted uncertainty, sigma."""
    told: dict[str, dict[str, Any]] = {}
    for item in items:
        volumes = np.array([part.mesh.moved(*-part.mesh.vertices[0]).volume() for part in item.parts])
        levels = np.array([level(part.evidence) for part in item.parts])
        told[item.owner] = {
            **{key: text for key, text in item.texts.items() if text},
            "evidence": {part.kind: part.evidence for part in item.parts},
            "uncertainty": round(uncertainty(volumes, levels), 2),
            "sigma_m": item.sigma,
        }
    return told


@dataclass(frozen=True, slots=True)
class HouseWords:
    """What is said of each house: oid of the solid and of the city object, name, era, fabric; (n,) object arrays."""

    oid: NDArray[np.object_]
    owner: NDArray[np.object_]
    name: NDArray[np.object_]
    era: NDArray[np.object_]
    fabric: NDArray[np.object_]

    def take(self, index: NDArray[np.bool_]) -> HouseWords:
        """The rows under a mask."""
        return HouseWords(self.oid[index], self.owner[index], self.name[index], self.era[index], self.fabric[index])


def house_solids(table: HouseTable, words: HouseWords, upper: bool, frame: Frame) -> Solids:
    """Houses of one kind (with or without upper storey) as a batch, one solid each, evidence `inferred`."""
    points, faces, surface, materials = house_arrays(table, upper)
    n, v, m = len(table), points.shape[1], len(faces)
    every = (faces[None] + (np.arange(n) * v)[:, None, None]).reshape(-1, 3).astype(np.int32)

    def same(text: str) -> NDArray[np.object_]:
        return objects([text] * n)

    attributes = {
        "owner": words.owner,
        "part": same("house"),
        "name": words.name,
        "evidence": same("inferred"),
        "fabric": words.fabric,
        "sources": same("S41h"),
        "rules": same("yingshan house"),
        "choices": same("Datong courtyard measures from memory; plan and height from the register"),
        "era": words.era,
        "roof_type": np.where(table.rolled, "juanpeng", "yingshan").astype(object),
        "evidence_u": np.full(n, level("inferred")),
        "sigma_m": np.full(n, 1.0),
    }
    return Solids(
        frame,
        words.oid,
        points.reshape(-1, 3),
        every,
        np.tile(surface, n),
        np.arange(n + 1, dtype=np.int64) * v,
        np.arange(n + 1, dtype=np.int64) * m,
        np.full(n, LOD, np.uint8),
        materials.reshape(-1),
        attributes,
    )
