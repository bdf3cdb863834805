"""Small deliveries made in code: a frame, a source, a raster, a layer, a whole little city."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine

from ingest.reading import Delivery
from twin.city import City, Source, open_city
from twin.frames import Frame

X0, Y0 = 500_000.0, 4_430_000.0


@pytest.fixture
def frame() -> Frame:
    return Frame("EPSG:4547", "1985", -15.0)


@pytest.fixture
def deliver(tmp_path: Path) -> Callable[..., Delivery]:
    def make(path: str, kind: str = "footprints", **declared: Any) -> Delivery:
        declared.setdefault("crs", "EPSG:4547")
        return Delivery(Source(name="delivery", kind=kind, path=path, **declared), tmp_path)

    return make


@pytest.fixture
def write_vector(tmp_path: Path) -> Callable[..., Path]:
    def write(
        name: str, geometry: Any, crs: str | None = "EPSG:4547", encoding: str | None = None, **columns: Any
    ) -> Path:
        shapes = np.empty(len(geometry), dtype=object)
        shapes[:] = list(geometry)
        driver = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".geojson": "GeoJSON", ".sqlite": "SQLite"}
        kinds = {shape.geom_type for shape in shapes if shape is not None}
        path = tmp_path / name
        data = [
            np.array(v, dtype=object) if len(v) and isinstance(v[0], str) else np.asarray(v) for v in columns.values()
        ]
        pyogrio.raw.write(
            path,
            np.array([None if s is None else shapely.to_wkb(s) for s in shapes], dtype=object),
            data,
            np.array(list(columns), dtype=object),
            driver=driver[path.suffix],
            geometry_type=kinds.pop() + (" Z" if any(s is not None and s.has_z for s in shapes) else "")
            if len(kinds) == 1
            else "Unknown",
            crs=crs,
            encoding=encoding,
            nan_as_null=True,
        )
        return path

    return write


@pytest.fixture
def write_raster(tmp_path: Path) -> Callable[..., Path]:
    def write(
        name: str,
        values: Any,
        crs: str | None = "EPSG:4547",
        corner: tuple[float, float] = (X0, Y0 + 100),
        cell=10.0,
        **p: Any,
    ) -> Path:
        bands = np.asarray(values)
        bands = bands[None] if bands.ndim == 2 else bands
        path = tmp_path / name
        profile = {
            "driver": "GTiff", "count": bands.shape[0], "height": bands.shape[1], "width": bands.shape[2],
            "dtype": bands.dtype, "crs": crs, "transform": Affine(cell, 0, corner[0], 0, -cell, corner[1]),
        } | p  # fmt: skip
        with rasterio.open(path, "w", **profile) as file:
            file.write(bands)
        return path

    return write


@pytest.fixture
def ground() -> np.ndarray:
    """Ten by ten cells of 10 m that rise 1 m a column from 1,040 m."""
    return np.tile(np.arange(1040.0, 1050.0, dtype=np.float32), (10, 1))


@pytest.fixture
def make_city(tmp_path: Path) -> Callable[..., City]:
    """A city.toml of source tables, opened with its store beside it."""

    def make(*sources: dict[str, Any], frame_crs: str = "EPSG:4547") -> City:
        lines = ["[frame]", f'crs = "{frame_crs}"', 'vertical = "1985"', "geoid_undulation = -15.0"]
        for number, source in enumerate(sources):
            lines.append("[[source]]")
            table = {"name": f"s{number}_{source['kind']}", "crs": "EPSG:4547"} | source
            lines += [f"{key} = {_toml(value)}" for key, value in table.items() if value is not None]
        (tmp_path / "city.toml").write_text("\n".join(lines), encoding="utf-8")
        return open_city(tmp_path)

    return make


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k, ensure_ascii=False)} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
