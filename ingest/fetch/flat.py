"""Fetched features as one plain GeoJSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shapely
from numpy.typing import NDArray


def write_rows(rows: Sequence[dict[str, Any]], shapes: NDArray[Any], target: Path) -> int:
    """Write flat rows and their geometries in lon/lat degrees as GeoJSON, in the order given; returns their number."""
    lines = [
        json.dumps({"type": "Feature", "properties": row, "geometry": json.loads(text)}, ensure_ascii=False)
        for row, text in zip(rows, shapely.to_geojson(shapes) if len(rows) else [], strict=True)
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".new")
    body = ",\n".join(lines)
    beside.write_text(f'{{"type": "FeatureCollection", "features": [\n{body}\n]}}\n', encoding="utf-8")
    beside.replace(target)
    return len(rows)
