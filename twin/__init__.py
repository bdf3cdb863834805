"""Pingcheng: a city as data, models, tiles and answers. `twin.open(folder)` gives a `City`."""

from twin.city import City, Source
from twin.city import open_city as open
from twin.errors import (
    FrameMismatchError,
    GeometryError,
    MissingInputError,
    NotFoundError,
    OptionsError,
    SourceError,
    StoreError,
    TwinError,
)
from twin.features import FEATURE_CLASSES, Layer
from twin.frames import Frame
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.live import Datastream, Incident, Observation, Thing
from twin.meshes import MATERIALS, Material, Skin, Solids, Surface, Texture
from twin.outcome import Outcome, Report
from twin.points import PointCloud
from twin.store import Store
from twin.workers import Workers

__version__ = "0.1.0"

__all__ = [
    "FEATURE_CLASSES",
    "MATERIALS",
    "City",
    "Datastream",
    "Frame",
    "FrameMismatchError",
    "GeoBox",
    "GeometryError",
    "Incident",
    "Layer",
    "Lineage",
    "Material",
    "MissingInputError",
    "NotFoundError",
    "Observation",
    "OptionsError",
    "Outcome",
    "PointCloud",
    "Raster",
    "Report",
    "Skin",
    "Solids",
    "Source",
    "SourceError",
    "Store",
    "StoreError",
    "Surface",
    "Texture",
    "Thing",
    "TwinError",
    "Workers",
    "__version__",
    "open",
]
