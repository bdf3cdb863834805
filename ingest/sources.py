"""The registry of readers: one line for each kind of source; what is not here cannot be declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ingest.citymodel.reader import CityModelReader
from ingest.dem import HeightReader
from ingest.formats.height_stream import HeightsOfAnySize
from ingest.imagery import ImageryReader
from ingest.layers import FeatureReader
from ingest.mesh.reader import MeshReader
from ingest.observations import IncidentReader, ObservationReader, SensorReader
from ingest.pointcloud import PointReader
from ingest.reading import SourceReader
from ingest.series.trajectory import TrajectoryReader
from twin.errors import SourceError

Registry = Mapping[str, SourceReader]


def register(readers: Iterable[SourceReader], to: Registry | None = None) -> Registry:
    """A new registry with more readers; SourceError where a kind is already taken."""
    table = dict(to or {})
    for reader in readers:
        if reader.card.kind in table:
            raise SourceError(f"two readers for source kind {reader.card.kind!r}; each kind has one")
        table[reader.card.kind] = reader
    return MappingProxyType(table)


READERS: Registry = register(
    (
        HeightsOfAnySize(HeightReader("dem")),
        HeightsOfAnySize(HeightReader("dsm")),
        HeightsOfAnySize(HeightReader("canopy", fills=False)),
        ImageryReader(),
        PointReader(),
        FeatureReader("footprints", "building"),
        CityModelReader(),
        MeshReader(),
        FeatureReader("roads", "road"),
        FeatureReader("railways", "railway"),
        FeatureReader("rivers", "river"),
        FeatureReader("water", "water"),
        FeatureReader("green", "green"),
        FeatureReader("landuse", "landuse"),
        FeatureReader("trees", "tree"),
        FeatureReader("pipes", "pipe"),
        FeatureReader("furniture", "furniture"),
        FeatureReader("divisions", "division"),
        FeatureReader("addresses", "address", needs=("footprints",)),
        FeatureReader("facilities", "facility"),
        FeatureReader("population", "population", needs=("divisions",)),
        FeatureReader("hazards", "hazard_site"),
        TrajectoryReader(),
        SensorReader(),
        ObservationReader(),
        IncidentReader(),
    )
)


def reader_of(kind: str, registry: Registry = READERS) -> SourceReader:
    """The reader of a source kind; SourceError names the kinds there are."""
    if kind not in registry:
        raise SourceError(f"no reader for source kind {kind!r}; there are {', '.join(sorted(registry))}")
    return registry[kind]
