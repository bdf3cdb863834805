"""The window of a place, cut from whole raster tiles."""

from __future__ import annotations

from pathlib import Path

import rasterio
from affine import Affine
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

from ingest.fetch.places import Place
from twin.errors import SourceError


def cut_window(tile: Path, target: Path, place: Place) -> bool:
    """Write the cells of `tile` that touch the place, unchanged, in the tile's own grid and CRS; False where none does.

    raises  SourceError where the tile is no raster or has no georeference
    """
    try:
        with rasterio.open(tile) as source:
            if source.crs is None:
                raise SourceError(f"{tile.name}: the tile has no CRS; remove it and fetch again")
            box = transform_bounds("EPSG:4326", source.crs, *place.as_list(), densify_pts=21)
            wanted = from_bounds(*box, transform=source.transform)
            col, row = int(wanted.col_off // 1), int(wanted.row_off // 1)
            right, bottom = (
                int(-(-(wanted.col_off + wanted.width) // 1)),
                int(-(-(wanted.row_off + wanted.height) // 1)),
            )
            col, row, right, bottom = max(col, 0), max(row, 0), min(right, source.width), min(bottom, source.height)
            if col >= right or row >= bottom:
                return False
            window = Window(col, row, right - col, bottom - row)
            profile = {
                "driver": "GTiff", "count": source.count, "dtype": source.dtypes[0], "crs": source.crs,
                "transform": source.transform @ Affine.translation(col, row),
                "width": right - col, "height": bottom - row, "nodata": source.nodata,
                "compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256,
            }  # fmt: skip
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(target.name + ".new")
            with rasterio.open(beside, "w", **profile) as sink:
                sink.write(source.read(window=window))
            beside.replace(target)
    except rasterio.errors.RasterioError as error:
        raise SourceError(f"{tile.name}: cannot be read as a raster ({error}); remove it and fetch again") from error
    return True
