"""Appearance of CityGML 2.0 and 3.0 (module app:), read before the buildings and laid by on disk.

Appearances may stand behind all buildings and speak of any of them, so they are gathered in a pass of their own.
Memory: 40 bytes at most for each textured ring and coloured surface; what is said of them goes to a temporary file.
"""

from __future__ import annotations

import hashlib
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import orjson
from numpy.typing import NDArray

from ingest.citymodel.meter import Meter, local
from ingest.citymodel.model import Coat, Colour, Ring

_DATA = frozenset({"ParameterizedTexture", "X3DMaterial", "GeoreferencedTexture"})
_COORDINATES, _COLOUR, _MATRIX = "t", "c", "g"


def colour_of(diffuse: Sequence[float], transparency: float) -> Colour | None:
    """(r, g, b, opacity) 0..255 of a material's diffuse colour 0..1; None where the numbers are none.

    The least opacity is 1: 0 says that no colour is told.
    """
    values = np.array([*diffuse, 1.0 - transparency], dtype=np.float64)
    if len(values) != 4 or not np.isfinite(values).all():
        return None
    red, green, blue, alpha = np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(int).tolist()
    return red, green, blue, max(alpha, 1)


class Looks:
    """What the appearances of one file say of rings and surfaces, by their gml:id; first said, first held."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the looks
        self._hash, self._at = array("Q"), array("q")
        self._sorted: NDArray[np.uint64] | None = None
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)

    def put(self, kind: str, key: str, value: list[Any]) -> None:
        """Lay by one statement."""
        self._hash.append(_hash(kind + key))
        self._at.append(self._file.tell())
        self._file.write(orjson.dumps([kind + key, *value]) + b"\n")

    def seal(self) -> Looks:
        """Ready to be asked."""
        keys = np.array(self._hash, dtype=np.uint64)
        self._order = np.argsort(keys, kind="stable")
        self._sorted, self._hash = keys[self._order], array("Q")
        return self

    def close(self) -> None:
        """The temporary file is gone."""
        self._file.close()

    def coordinates(self, ring: str) -> tuple[str, str, NDArray[np.float32]] | None:
        """(picture, wrap mode, places (k, 2) f4 of the ring as delivered) of a ring, or None."""
        found = self._get(_COORDINATES, ring)
        return None if found is None else (found[0], found[1], np.array(found[2], np.float32).reshape(-1, 2))

    def projection(self, surface: str) -> tuple[str, str, NDArray[np.float64]] | None:
        """(picture, wrap mode, worldToTexture (3, 4) f8) of a surface, or None."""
        found = self._get(_MATRIX, surface)
        return None if found is None else (found[0], found[1], np.array(found[2]).reshape(3, 4))

    def colour(self, surface: str) -> Colour | None:
        """Colour of a surface, or None."""
        found = self._get(_COLOUR, surface)
        return None if found is None else tuple(found)  # type: ignore[return-value]

    def _get(self, kind: str, key: str) -> list[Any] | None:
        if self._sorted is None or not len(self._sorted) or not key:
            return None
        place = int(np.searchsorted(self._sorted, np.uint64(_hash(kind + key))))
        if place == len(self._sorted):
            return None
        self._file.seek(self._at[int(self._order[place])])
        found = orjson.loads(self._file.readline())
        return found[1:] if found[0] == kind + key else None


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def project(points: Ring, matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Places (k, 2) in a picture of points (k, 3) in the file's own order of axes (CityGML 2.0, 9.4, TexCoordGen)."""
    s, t, q = matrix @ np.vstack([points.T, np.ones(len(points))])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.column_stack([s / q, t / q]).astype(np.float32)


def read_looks(path: Path, shown: str, theme: str) -> Looks:
    """The appearances of a CityGML file, those of one theme where `theme` is not "".

    raises  SourceError for one element that does not end; the file was checked when its buildings were read
    """
    looks = Looks()
    with path.open("rb") as file:
        meter = Meter(file, shown)
        scan, parents = _Scan(looks, theme), []
        for event, element in ElementTree.iterparse(meter, events=("start", "end")):
            if event == "start":
                scan.enter(element)
                parents.append(element)
                continue
            parents.pop()
            scan.leave(element)
            element.clear()
            if parents:
                del parents[-1][:]
            meter.since = 0
    return looks.seal()


class _Scan:
    """What was read of the appearance, of the surface data and of its target so far (schema order)."""

    def __init__(self, looks: Looks, wanted: str) -> None:
        self._looks, self._wanted = looks, wanted
        self._theme, self._kind, self._target = "", "", ""
        self._told: dict[str, str] = {}
        self._rings: list[str] = []
        self._places: list[list[float]] = []

    def enter(self, element: Any) -> None:
        name = local(element.tag)
        if name == "Appearance":
            self._theme = ""
        elif name in _DATA:
            self._kind, self._told = name, {}
        elif name == "TexCoordList":
            self._rings, self._places = [], []
        elif name == "target":
            self._target = _ident(element.get("uri") or "")

    def leave(self, element: Any) -> None:
        name, text = local(element.tag), (element.text or "").strip()
        if name == "theme":
            self._theme = text
        elif name in _DATA:
            self._kind = ""
        elif not self._kind or (self._wanted and self._theme != self._wanted):
            return
        elif name in ("imageURI", "wrapMode", "diffuseColor", "transparency", "isFront"):
            self._told[name] = text
        elif self._told.get("isFront", "true").lower() not in ("false", "0"):
            self._state(name, text, element)

    def _state(self, name: str, text: str, element: Any) -> None:
        if name == "textureCoordinates":
            self._places.append(_numbers(text))
            if element.get("ring"):
                self._rings.append(_ident(element.get("ring")))
        elif name == "ring":
            self._rings.append(_ident(text))
        elif name == "target":
            self._target = self._target or _ident(text)
            if self._kind == "X3DMaterial":
                self._colour()
        elif name in ("TexCoordList", "worldToTexture") and self._told.get("imageURI"):
            self._texture(name, _numbers(text))

    def _texture(self, name: str, matrix: list[float]) -> None:
        picture = [self._told["imageURI"], self._told.get("wrapMode", "")]
        if name == "worldToTexture":
            if len(matrix) == 12 and self._target:
                self._looks.put(_MATRIX, self._target, [*picture, matrix])
            return
        for ring, places in zip(self._rings, self._places, strict=False):
            if places and len(places) % 2 == 0:
                self._looks.put(_COORDINATES, ring, [*picture, places])

    def _colour(self) -> None:
        clear = _numbers(self._told.get("transparency", "0"))
        colour = colour_of(_numbers(self._told.get("diffuseColor", "")), clear[0] if clear else 0.0)
        if colour is not None and self._target:
            self._looks.put(_COLOUR, self._target, list(colour))


def _ident(uri: str) -> str:
    return uri.strip().removeprefix("#")


def _numbers(text: str) -> list[float]:
    try:
        values = np.array(text.replace(",", " ").split(), dtype=np.float64)
    except ValueError:
        return []
    return values.tolist() if np.isfinite(values).all() else []


def coat_of(rings: Sequence[Ring], names: Sequence[str], looks: Looks) -> Coat | None:
    """What the rings of a polygon, as delivered, wear by coordinates; None where one of them is not told.

    names   gml:id of each ring
    """
    found = [looks.coordinates(name) for name in names]
    if any(one is None or len(one[2]) != len(ring) for one, ring in zip(found, rings, strict=True)):
        return None
    told = [one for one in found if one is not None]
    return Coat(told[0][0], told[0][1], [one[2] for one in told]) if told else None
