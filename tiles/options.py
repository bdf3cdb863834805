"""What can be set when tiles are made; read from [tiles] of city.toml."""

from __future__ import annotations

from dataclasses import dataclass, field

from twin.options import option


@dataclass(frozen=True, slots=True)
class TextureTiles:
    """How the pictures that buildings wear come into tiles."""

    pictures: bool = option(True, doc="Faces wear the pictures that were delivered with them.")
    texel: float = option(0.1, unit="m", min=0.005, max=10.0, doc="A pixel of a picture is no finer than this.")
    side: int = option(
        2048, choices=(256, 512, 1024, 2048, 4096, 8192), doc="Most pixels of a tile's picture along a side."
    )
    most_bytes: int = option(1_500_000, unit="B", min=10_000, max=10_000_000, doc="Most bytes of a tile's picture.")
    quality: int = option(75, min=1, max=100, doc="WebP quality of a tile's picture.")
    levels: int = option(
        1,
        min=0,
        max=3,
        doc="Lighter tiles above one with a picture: the same buildings, pixels four times as wide each.",
    )


@dataclass(frozen=True, slots=True)
class ModelTiles:
    """How the buildings are cut into tiles."""

    root_bytes: int = option(200_000, unit="B", min=10_000, max=1_000_000, doc="Most bytes on the wire of a root tile.")
    inner_bytes: int = option(200_000, unit="B", min=10_000, max=1_000_000, doc="Most bytes of a tile with children.")
    leaf_bytes: int = option(160_000, unit="B", min=10_000, max=1_000_000, doc="Most bytes of a tile without children.")
    coarse: float = option(
        2.0,
        unit="m",
        min=0.1,
        max=50.0,
        doc="How far the first coarse level may move an outline; every level above moves twice as far or more.",
    )
    l3_reach: float = option(
        2600.0, unit="m", min=100.0, max=20_000.0, doc="Camera distance within which every L3 model is loaded (1080p)."
    )
    l3_fine_reach: float = option(
        900.0, unit="m", min=50.0, max=20_000.0, doc="Camera distance within which the fine parts of L3 are loaded."
    )
    l3_fine_parts: tuple[str, ...] = option(
        ("brackets", "ornaments", "ridges", "openings", "columns", "posts", "balustrade", "plaque"),
        doc="Kinds of L3 parts that are fine: from afar they are below a pixel.",
    )
    sink: float = option(
        0.6,
        unit="m",
        min=0.0,
        max=5.0,
        doc="Blocks reach this far below the relief, so that coarser terrain shows no gap.",
    )
    compression: str = option(
        "meshopt", choices=("meshopt", "none"), doc="Packing of buildings (EXT_meshopt_compression), or none."
    )
    outlines: bool = option(
        False, doc="Buildings with their edges (CESIUM_primitive_outline), which CesiumJS draws and others leave out."
    )
    brotli_quality: int = option(5, min=0, max=11, doc="Brotli quality of the copies beside the files.")
    scheme: str = option(
        "auto",
        choices=("auto", "explicit", "implicit"),
        doc="Tiles of L2: each named by a document, or an implicit quadtree beside; auto: above 4,000 tiles.",
    )
    textures: TextureTiles = field(default_factory=TextureTiles)


@dataclass(frozen=True, slots=True)
class ClassTiles:
    """How surfaces, pipes, trees and furniture become tiles."""

    inner_bytes: int = option(100_000, unit="B", min=10_000, max=1_000_000, doc="Most bytes of a tile with children.")
    leaf_bytes: int = option(160_000, unit="B", min=10_000, max=1_000_000, doc="Most bytes of a tile without children.")
    lift: float = option(
        0.3,
        unit="m",
        min=0.0,
        max=5.0,
        doc="Surfaces are drawn this far above their place, as far as the terrain may be off, or it would hide them.",
    )


@dataclass(frozen=True, slots=True)
class PointTiles:
    """How the point cloud becomes tiles."""

    compression: str = option(
        "meshopt", choices=("meshopt", "none"), doc="Packing of points (EXT_meshopt_compression), or none."
    )
    inner_bytes: int = option(200_000, unit="B", min=10_000, max=1_000_000, doc="Most bytes of a tile with children.")
    leaf_bytes: int = option(200_000, unit="B", min=10_000, max=1_000_000, doc="Most bytes of a tile without children.")


@dataclass(frozen=True, slots=True)
class TerrainTiles:
    """How the relief becomes quantized-mesh tiles."""

    cells: int = option(
        128, min=16, max=128, choices=(16, 32, 64, 128), doc="Cells along a tile's edge at full detail."
    )
    max_level: int = option(0, min=0, max=18, doc="Finest level; 0 takes the one that suits the relief's resolution.")
    error: float = option(
        0.3, unit="m", min=0.01, max=50.0, doc="Largest height error of the finest level; coarser levels allow more."
    )
    apron: float = option(
        3000.0,
        unit="m",
        min=0.0,
        max=100_000.0,
        doc="Width over which the land around fades to one height; at most a quarter of the data's.",
    )
    normals: bool = option(True, doc="Write vertex normals, so that a low sun models the hills.")
    water: bool = option(True, doc="Write water masks where there is a layer of water, so that clients draw waves.")


@dataclass(frozen=True, slots=True)
class ImageTiles:
    """How the orthophotos become image tiles."""

    mode: str = option(
        "pre",
        choices=("pre", "fly", "both"),
        doc="pre: tiles are made beforehand; fly: the server paints what is asked for; both: made, and painted too.",
    )
    tile_size: int = option(512, unit="px", choices=(256, 512), doc="Pixels along a tile's side.")
    format: str = option("webp", choices=("webp", "jpg"), doc="Format of the tiles; jpg for clients that know no WebP.")
    quality: int = option(82, min=30, max=100, doc="JPEG or WebP quality.")
    min_zoom: int = option(8, min=0, max=22, doc="Coarsest zoom.")
    max_zoom: int = option(0, min=0, max=22, doc="Finest zoom; 0 takes the one that suits each source's resolution.")


@dataclass(frozen=True, slots=True)
class VectorTiles:
    """How the layers become vector tiles."""

    min_zoom: int = option(6, min=1, max=14, doc="Coarsest zoom.")
    max_zoom: int = option(16, min=10, max=20, doc="Finest zoom; clients enlarge its tiles beyond.")
    tolerance: float = option(
        2.0,
        unit="1/4096 of a tile",
        min=0.0,
        max=64.0,
        doc="How far lines and outlines may move below the finest zoom; 8 are a pixel.",
    )
    buffer: int = option(64, unit="1/4096 of a tile", min=0, max=1024, doc="What a tile shows beyond its sides.")
    tile_bytes: int = option(
        500_000,
        unit="B",
        min=20_000,
        max=10_000_000,
        doc="Most bytes of a tile before compression; the smallest features go where there are more.",
    )
    leave_out: tuple[str, ...] = option((), doc="Layers that are not on the map, as pipe or population.")


@dataclass(frozen=True, slots=True)
class TileOptions:
    """Everything [tiles] may say."""

    models: ModelTiles = field(default_factory=ModelTiles)
    terrain: TerrainTiles = field(default_factory=TerrainTiles)
    imagery: ImageTiles = field(default_factory=ImageTiles)
    classes: ClassTiles = field(default_factory=ClassTiles)
    points: PointTiles = field(default_factory=PointTiles)
    vector: VectorTiles = field(default_factory=VectorTiles)
