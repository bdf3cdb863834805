"""The head of a CityJSON document: reference system, transform, title, extent, where the data come from."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.cityjson.geometry import SCALE
from twin.city import City
from twin.lineage import Lineage
from twin.store.protocol import Item

VERSION = "2.0"
_URL = "https://www.opengis.net/def/crs/EPSG/0/{}"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def origin_of(items: list[Item]) -> NDArray[np.float64]:
    """(3,) m, whole metres: the corner that integer vertices count from."""
    extents = [item.extent for item in items if item.extent is not None]
    if not extents:
        return np.zeros(3)
    low = np.floor(np.array(extents)[:, :2].min(axis=0))
    return np.append(low, 0.0)


def head_of(city: City, items: list[Item], origin: NDArray[np.float64]) -> dict[str, Any]:
    """The first line of a CityJSONSeq, and what a CityJSON document begins with."""
    return {
        "type": "CityJSON",
        "version": VERSION,
        "transform": {"scale": [SCALE] * 3, "translate": origin.tolist()},
        "metadata": _metadata(city, items),
    }


def _metadata(city: City, items: list[Item]) -> dict[str, Any]:
    lineage = Lineage.join([item.lineage for item in items], "written as CityJSON 2.0")
    title = city.name if city.name == city.name_en else f"{city.name} / {city.name_en}"
    told: dict[str, Any] = {"identifier": f"{city.id}:{'-'.join(item.digest[:12] for item in items)}", "title": title}
    code = epsg_of(city.frame.crs, city.frame.vertical)
    if code:
        told["referenceSystem"] = _URL.format(code)
    days = sorted(_DAY.findall(lineage.date))
    if days:
        told["referenceDate"] = days[-1]
    # ISO 19115 says more than the core of CityJSON has members for; more members are allowed.
    told["verticalDatum"] = city.frame.vertical
    told["lineage"] = lineage.as_dict()
    return told


@lru_cache(maxsize=16)
def epsg_of(crs: str, vertical: str) -> int | None:
    """EPSG code of a frame: of the compound system with its heights where the register has one, else of the plane.

    None for a system that is not in the register
    """
    import pyproj
    from pyproj.database import query_crs_info
    from pyproj.enums import PJType

    known = pyproj.CRS.from_user_input(crs)
    flat = known.sub_crs_list[0] if known.is_compound else known
    code = flat.to_epsg()
    if code is None or not vertical:
        return None if code is None else int(code)
    for row in query_crs_info(auth_name="EPSG", pj_types=PJType.COMPOUND_CRS):
        name, plus, heights = row.name.partition(" + ")
        if plus and name == flat.name and vertical.casefold() in heights.casefold():
            return int(row.code)
    return int(code)
