"""Maps of the layers as Mapbox Vector Tiles 2.1 in one PMTiles archive, with TileJSON and a style."""
