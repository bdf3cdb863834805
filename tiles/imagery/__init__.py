"""Orthophotos as tiles: places of the Web Mercator scheme, pixels and bytes of one tile, the pyramid."""
