"""CityGML 2.0 and 3.0 as a stream: one city object in memory, no document type, no entities.

Memory: the elements of one building at a time, made of at most meter.MEMBER_LIMIT bytes of XML; everything that is no
building (terrain, textures, zones) is counted and dropped element by element, whatever its size. Surfaces pass on in
runs of at most 256 buildings, so that a file of any length goes through within 8 MiB for simple buildings; what grows
with their number is their outlines and attributes, which are the layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyproj

from ingest.citymodel.appearance import Looks
from ingest.citymodel.gmlbody import body_of, points_of
from ingest.citymodel.meter import Meter, local
from ingest.citymodel.model import Body, Census
from ingest.formats.xml import refuse_doctype
from twin.errors import SourceError

DEEPEST = 200
_MEMBERS = frozenset({"cityObjectMember", "featureMember", "featureMembers"})
_COUNTED = frozenset({"TINRelief", "Triangle", "Polygon"})
_CODE = re.compile(r"EPSG(?:/[^/]*/|::?|:[^:]*:)(\d+)", re.IGNORECASE)


def read_citygml(
    path: Path, shown: str, wanted: int, axes: str, census: Census, looks: Looks | None = None
) -> Iterator[Body]:
    """The buildings of a CityGML file, one at a time; what else it holds is counted in the census.

    wanted      ten times the LoD to take, 0 for the highest of each part
    looks       the appearances of the file, where they were read before
    axes        "" order as the CRS and the form of srsName say, "xy" or "yx" where the file is known to differ
    raises      SourceError for XML that is damaged, carries a document type, states two CRSs or is no CityGML
    """
    with path.open("rb") as file:
        refuse_doctype(file, shown, "CityGML")
        file.seek(0)
        scan = _Scan(Meter(file, shown), shown, wanted, axes, census, looks)
        try:
            yield from scan.bodies()
        except ElementTree.ParseError as err:
            raise SourceError(f"{shown}: damaged or cut short XML ({str(err)[:100]}); ask for the file again") from err
        except (LookupError, UnicodeError) as err:
            raise SourceError(f"{shown}: text encoding of the XML cannot be read ({str(err)[:100]})") from err


class _Scan:
    """One pass over the elements; the state is the path from the root and the city object that it goes through."""

    def __init__(self, meter: Meter, shown: str, wanted: int, axes: str, census: Census, looks: Looks | None) -> None:
        self._meter, self._shown, self._wanted, self._axes, self._census = meter, shown, wanted, axes, census
        self._looks = looks
        self._path: list[Any] = []
        self._inside = ""
        self._from = 0

    def bodies(self) -> Iterator[Body]:
        """The buildings in the order of the file."""
        for event, element in ElementTree.iterparse(self._meter, events=("start", "end")):
            if event == "start":
                self._enter(element)
                continue
            self._path.pop()
            if self._inside and len(self._path) == self._from:
                if self._inside == "Building":
                    yield body_of(element, self._wanted, self._census, self._looks)
                self._inside, self._meter.since = "", 0
            self._leave(element)

    def _enter(self, element: Any) -> None:
        name = local(element.tag)
        if not self._path and name != "CityModel":
            raise SourceError(f"{self._shown}: XML, but no CityGML (its root is {name[:40]})")
        stated = element.get("srsName")
        if stated:
            self._state_crs(stated)
        if not self._inside and self._path and local(self._path[-1].tag) in _MEMBERS:
            self._inside, self._from = name, len(self._path)
            self._census.counts[name] += 1
            if name != "Building":
                self._census.ignored[name] += 1
        self._path.append(element)
        if len(self._path) > DEEPEST:
            raise SourceError(f"{self._shown}: XML nested deeper than {DEEPEST} elements")

    def _leave(self, element: Any) -> None:
        """What is read is let go; inside a building only when the building ends."""
        name = local(element.tag)
        if name == "imageURI" and element.text:
            self._census.images[element.text.strip()] = None
        if name in ("ParameterizedTexture", "X3DMaterial"):
            self._census.looks = True
        if self._inside == "Building":
            return
        if self._inside:
            if name in _COUNTED:
                self._census.counts[name] += 1
            elif name in ("posList", "pos"):
                self._measure(element)
        element.clear()
        if self._path:
            del self._path[-1][:]
        if self._inside:
            self._meter.since = 0

    def _measure(self, element: Any) -> None:
        try:
            self._census.grow(points_of(element, 3, self._census.swapped))
        except ValueError:
            self._census.counts["unreadable position"] += 1

    def _state_crs(self, stated: str) -> None:
        found = _CODE.findall(stated)
        if not found:
            raise SourceError(f"{self._shown}: srsName {stated[:80]!r} names no EPSG code; mend it in the file")
        # A compound name gives the horizontal CRS first: urn:ogc:def:crs,crs:EPSG::25832,crs:EPSG::7837.
        crs = f"EPSG:{found[0]}"
        if self._census.crs and crs != self._census.crs:
            raise SourceError(f"{self._shown}: two CRSs in one file, {self._census.crs} and {crs}; split the file")
        if not self._census.crs:
            self._census.crs = crs
            formal = stated.lower().startswith(("urn:", "http:", "https:"))
            self._census.swapped = self._axes == "yx" if self._axes else formal and _north_first(crs, self._shown)


def _north_first(crs: str, shown: str) -> bool:
    """True where the authority gives latitude or northing first; formal names (URN, URL) promise that order.

    source  OGC 07-092r3; the short form EPSG:n keeps x first, as GDAL reads it
    """
    try:
        axes = pyproj.CRS.from_user_input(crs).axis_info
    except pyproj.exceptions.CRSError as err:
        raise SourceError(f"{shown}: srsName {crs} is not known to PROJ") from err
    return bool(axes) and axes[0].direction.lower() in ("north", "south")
