"""Survey meshes into the frame: surfaces as delivered, in cells, for model `mesh`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ingest.citymodel.album import Place, lost_lines
from ingest.citymodel.model import declared_lod
from ingest.mesh.georef import Georeference, datum_words, georeference_of
from ingest.mesh.parts import Nearby, Piece, pieces_of
from ingest.reading import Card, Delivery, Reading
from twin.features import objects
from twin.frames import Frame
from twin.lineage import Lineage
from twin.meshes import Skin, Solids, Surface, Texture, concatenate, join_skins
from twin.store.images import image_name

CELL = 250.0


@dataclass(slots=True)
class Pictures:
    """Pictures of the file that is being read, by name; the store asks for them before the next file."""

    kept: dict[str, bytes] = field(default_factory=dict)

    def __getitem__(self, name: str) -> bytes:
        """The bytes of a picture; KeyError where the file at hand has none of that name."""
        return self.kept[name]


@dataclass(frozen=True, slots=True)
class MeshStream:
    """The objects of mesh files, read again file by file when the store drains them.

    images      the pictures of the file at hand, None where no file wears colours or pictures
    """

    delivery: Delivery
    frame: Frame
    lineage: Lineage
    images: Pictures | None

    def batches(self) -> Iterator[tuple[str, Solids]]:
        """(cell, solids) by cells of 250 m of each file, in the order of the files; one file in memory."""
        taken: set[str] = set()
        for number, path in enumerate(self.delivery.files()):
            reference = georeference_of(path, self.delivery, self.frame)
            pieces = list(pieces_of(path, self.delivery.shown(path), self._nearby(path)))
            if self.images is not None:
                self.images.kept = {image_name(piece.picture): piece.picture for piece in pieces if piece.picture}
            groups: dict[str, list[Piece]] = {}
            for piece in pieces:
                groups.setdefault(piece.name or path.stem, []).append(piece)
            found = []
            for name, parts in groups.items():
                found.append(_solid(parts, _free(name, path.stem, taken), reference, self, self.delivery.shown(path)))
            yield from _by_cell(found, f"{self.delivery.source.name}_{number:04d}")

    def _nearby(self, path: Path) -> Nearby:
        return Nearby(Place.of(path, self.delivery.root), self.delivery.source.encoding)


def _free(name: str, stem: str, taken: set[str]) -> str:
    """The object's own name; with that of its file before it, then "~", where another file has it already."""
    own = name if name not in taken or name == stem else f"{stem}/{name}"
    while own in taken:
        own += "~"
    taken.add(own)
    return own


def _solid(parts: list[Piece], oid: str, reference: Georeference, stream: MeshStream, shown: str) -> Solids:
    """One object: its pieces put together, vertices of equal place made one."""
    source = stream.delivery.source
    first = np.cumsum([0, *(len(piece.vertices) for piece in parts)])
    turned = -1 if np.linalg.det(reference.matrix[:3, :3]) < 0.0 else 1
    points = reference.place(np.concatenate([piece.vertices for piece in parts]), stream.frame, shown)
    corners = np.concatenate([piece.faces[:, ::turned] + at for piece, at in zip(parts, first, strict=False)])
    vertices, inverse = np.unique(points, axis=0, return_inverse=True)
    faces = inverse.reshape(-1)[corners].astype(np.int32)
    a, b, c = faces.T
    keep = np.flatnonzero((a != b) & (b != c) & (c != a))
    skin = None if stream.images is None else join_skins([_skin(piece, turned) for piece in parts]).take(keep)
    solids = Solids(
        frame=stream.frame,
        oid=objects([oid]),
        vertices=vertices,
        faces=faces[keep],
        surface=np.full(len(keep), int(Surface.OTHER), np.uint8),
        vertex_offset=np.array([0, len(vertices)]),
        face_offset=np.array([0, len(keep)]),
        lod=np.array([declared_lod(stream.delivery)], np.uint8),
        material=np.zeros(len(keep), np.uint8),
        skin=None if skin is None or skin.is_bare else skin,
    )
    attributes = {
        "owner": objects([oid]),
        "part": objects(["MultiSurface"]),
        "source": objects([source.name]),
        "accuracy_m": np.array([source.accuracy], dtype=np.float64),
        "closed": solids.is_closed().astype(np.float64),
    }
    return replace(solids, attributes=attributes)


def _skin(piece: Piece, turned: int) -> Skin:
    name = image_name(piece.picture)
    bare = Skin.bare(len(piece.faces))
    if not name or piece.uv is None:
        return replace(bare, colour=piece.colour)
    texture = np.zeros(len(piece.faces), np.int32)
    return Skin(piece.colour, texture, piece.uv[piece.faces[:, ::turned]], (Texture(name, piece.wrap),))


def _by_cell(found: list[Solids], prefix: str) -> Iterator[tuple[str, Solids]]:
    """The objects by the cell that the middle of each lies in, cells from south to north."""
    cells: dict[tuple[int, int], list[Solids]] = {}
    for solids in found:
        west, south, east, north = solids.bounds
        cells.setdefault((int((south + north) / 2 // CELL), int((west + east) / 2 // CELL)), []).append(solids)
    for row, column in sorted(cells):
        yield f"{prefix}_{column}_{row}", concatenate(cells[row, column])


@dataclass(frozen=True, slots=True)
class MeshReader:
    """Reads OBJ, glTF and PLY into a stream of Solids for model mesh; nothing is made closed that is not.

    extra.matrix    16 numbers row by row, file -> CRS; else extra.origin, three numbers to add; else SRS and
                    SRSOrigin of a metadata.xml beside the file or above; else the numbers stand as they are
    extra.up        "y" or "z"; y for glTF, z for others without
    extra.lod       the level of detail that the delivery claims
    """

    kind: str = "mesh"

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(self.kind, "model mesh", (), "m", "glTF 2.0, Wavefront OBJ, Stanford PLY; as delivered")

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """Every file is read once to know that it can be, and what it brings; the surfaces come with `models`."""
        lineage, lines, tally = delivery.lineage(), [], Counter[str]()
        declared_lod(delivery)
        words: dict[str, None] = {}
        worn = False
        for path in delivery.files():
            shown, nearby = delivery.shown(path), Nearby(Place.of(path, delivery.root), delivery.source.encoding)
            reference = georeference_of(path, delivery, frame)
            pieces = list(pieces_of(path, shown, nearby))
            ends = np.array(
                [end for piece in pieces for end in (piece.vertices.min(axis=0), piece.vertices.max(axis=0))]
            )
            reference.place(ends, frame, shown)
            words |= dict.fromkeys(datum_words(reference, ends, delivery, frame, shown))
            worn = worn or any(piece.picture or piece.colour[:, 3].any() for piece in pieces)
            states = Counter(nearby.states[name] for name in nearby.pictures())
            lines += lost_lines(states, shown)
            lines += [
                f"{shown}: materials {name} are not in the delivery; no colours" for name in nearby.lost_libraries()
            ]
            tally.update(files=1, objects=len({piece.name for piece in pieces}))
            tally.update({"vertices": sum(len(piece.vertices) for piece in pieces)})
            tally.update({"triangles": sum(len(piece.faces) for piece in pieces)})
            tally.update({f"textures.{word}": n for word, n in _pictures(states, pieces).items() if n})
        for word in words:
            lineage = lineage.step(word)
        stream = MeshStream(delivery, frame, lineage, Pictures() if worn else None)
        return Reading(None, lineage, warnings=tuple(lines), tally=dict(tally), models=stream)


def _pictures(states: Counter[str], pieces: list[Piece]) -> dict[str, int]:
    """How many pictures the file names, beside it or inside, and how many are there."""
    inside = len({image_name(piece.picture) for piece in pieces if piece.picture}) if not states else 0
    return {"named": sum(states.values()) + inside, "present": states["present"] + inside}
