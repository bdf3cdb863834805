"""How the map looks by day: a MapLibre style that asks nothing of any other place.

There are no sprites and no glyphs: MapLibre GL JS (from 5.11 on) draws letters with the fonts of the machine.
source  MapLibre Style Specification 8; colours of the design page
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

FILES: Mapping[str, str] = {"zh": "style.json", "en": "style-en.json"}
"""Language -> file of its style."""

SOURCE = "city"
FONTS = ["Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "sans-serif"]

_GROUND, _INK, _HALO, _ACCENT, _GOLD = "#ece8e1", "#4a453f", "#f7f4ef", "#1f7a5c", "#c8962e"
_WATER, _WATER_INK = "#a9c4d0", "#4b7387"
_GREEN = "#cdd8be"
_USES = {
    "residential": "#d8cfc3", "commercial": "#dccabb", "office": "#d3cdc8", "industrial": "#cfcbc9",
    "public": "#d6ccc8", "education": "#d9d0bb", "medical": "#dcc8c6", "religious": "#c9bfa6", "heritage": "#b9b4a2",
}  # fmt: skip
_MAJOR = ("motorway", "trunk", "primary")
_MINOR = ("secondary", "tertiary")

Layer = dict[str, Any]


def style(layers: Collection[str], language: str, tiles: Mapping[str, Any]) -> dict[str, Any]:
    """A style of the layers that are there, with names in "zh" or "en"; the address of TileJSON is relative to it.

    tiles   TileJSON of the map, for its centre
    """
    lon, lat, zoom = tiles["center"]
    return {
        "version": 8,
        "name": f"{tiles['name']} {language}",
        "center": [lon, lat],
        "zoom": zoom,
        "sources": {SOURCE: {"type": "vector", "url": "tiles.json"}},
        "layers": [
            {"id": "background", "type": "background", "paint": {"background-color": _GROUND}},
            *(layer for layer in (*_areas(), *_lines(), *_buildings(), *_labels(language)) if _source(layer) in layers),
        ],
    }


def _source(layer: Layer) -> str:
    return str(layer["source-layer"])


def _layer(name: str, kind: str, of: str, paint: Layer, **more: Any) -> Layer:
    return {"id": name, "type": kind, "source": SOURCE, "source-layer": of, "paint": paint, **more}


def _fill(of: str, colour: Any, **paint: Any) -> Layer:
    return _layer(of, "fill", of, {"fill-color": colour, **{f"fill-{k}": v for k, v in paint.items()}}, filter=_AREAS)


def _areas() -> list[Layer]:
    code = ["slice", ["concat", ["coalesce", ["get", "code"], ""], "  "], 0, 2]
    # The two first digits of a land use code: GB/T 21010, where 05 is trade, 06 industry, 07 housing.
    use = ["match", code, "05", "#e9dfd3", "06", "#e2dfdc", "07", "#e9e3da", _GROUND]
    return [
        _fill("landuse", use, opacity=0.7),
        _fill("green", _GREEN),
        _fill("water", _WATER),
        _fill("hazard_site", "#f07818", opacity=0.25),
    ]


def _lines() -> list[Layer]:
    rounded = {"line-cap": "round", "line-join": "round"}
    told = []
    for name, classes, widths, colour, casing in (
        ("minor", None, (0.4, 1.2, 6.0), "#fbf9f5", "#d8d1c6"),
        ("middle", _MINOR, (0.7, 2.4, 11.0), "#fffdf8", "#cfc7ba"),
        ("major", _MAJOR, (1.2, 4.0, 16.0), "#fbe9c3", "#d3b98a"),
    ):
        chosen = ["match", ["get", "road_class"], list(classes), True, False] if classes else _OTHER_ROADS
        for part, wider, paint in (("casing", 1.5, casing), ("road", 0.0, colour)):
            width = [["+", w, wider] if wider else w for w in widths]
            told.append(
                _layer(
                    f"{part}-{name}",
                    "line",
                    "road",
                    {"line-color": paint, "line-width": _by_zoom((8, 13, 18), width)},
                    layout=rounded,
                    filter=chosen,
                )
            )
    told.sort(key=lambda layer: not str(layer["id"]).startswith("casing"))
    dash = {"line-color": "#9a938a", "line-width": _by_zoom((8, 18), (0.6, 3.0)), "line-dasharray": [4.0, 2.0]}
    border = {"line-color": "#a58f9a", "line-width": _by_zoom((6, 14), (0.6, 1.2)), "line-dasharray": [3.0, 2.0]}
    return [
        _layer("division", "line", "division", border, filter=_IN_FORCE),
        _layer(
            "river",
            "line",
            "river",
            {"line-color": _WATER, "line-width": _by_zoom((8, 16), (1.0, 5.0))},
            layout=rounded,
        ),
        *told,
        _layer("railway", "line", "railway", dash),
        _layer("rail", "line", "road", dash, filter=["==", ["get", "road_class"], "rail"]),
        _layer("pipe", "line", "pipe", {"line-color": "#8a7fa8", "line-width": 1.0}),
        _layer("trajectory", "line", "trajectory", {"line-color": _ACCENT, "line-width": 1.5}),
    ]


def _buildings() -> list[Layer]:
    use: list[Any] = ["match", ["get", "function"]]
    for name, colour in _USES.items():
        use += [name, colour]
    edge = ["match", ["get", "function"], ["heritage", "religious"], _ACCENT, "#b9afa2"]
    dot = {"circle-stroke-color": _HALO, "circle-stroke-width": 1.0}
    return [
        _layer("building", "fill", "building", {"fill-color": [*use, "#d5cdc2"]}),
        _layer(
            "building-edge",
            "line",
            "building",
            {"line-color": edge, "line-width": _by_zoom((14, 18), (0.3, 1.2))},
            minzoom=14,
        ),
        _layer("tree", "circle", "tree", {"circle-color": "#7f9c6a", "circle-radius": _by_zoom((16, 20), (1.0, 6.0))}),
        _layer("furniture", "circle", "furniture", {"circle-color": "#8b857c", "circle-radius": 2.0}),
        _layer("facility", "circle", "facility", {"circle-color": _ACCENT, "circle-radius": 4.0, **dot}),
        _layer(
            "hazard-point",
            "circle",
            "hazard_site",
            {"circle-color": "#c00000", "circle-radius": 4.0, **dot},
            filter=["==", ["geometry-type"], "Point"],
        ),
    ]


def _labels(language: str) -> list[Layer]:
    return [
        _label("river", language, (11, 12.0), _WATER_INK, **_ALONG),
        _label("road", language, (13, 11.0), _INK, **_ALONG),
        _label("building", language, (15, 12.0), _ACCENT, only=["match", ["get", "function"], _OLD, True, False]),
        _label("building", language, (17, 11.0), _INK, only=["match", ["get", "function"], _OLD, False, True]),
        _label("facility", language, (13, 12.0), _INK, **_BELOW),
        _label("hazard_site", language, (13, 11.0), "#8c1a1a", **_BELOW),
        *(
            _label(
                "division_label",
                language,
                (first, size),
                "#7a6470",
                only=["all", _IN_FORCE, ["match", ["get", "division_level"], levels, True, False]],
                maxzoom=last,
            )
            for levels, first, last, size in (
                (["province", "city"], 6, 10, 15.0),
                (["district"], 9, 12, 14.0),
                (["street"], 12, 14, 13.0),
                (["community"], 14, 17, 12.0),
            )
        ),
        _label("address", language, (18, 10.0), "#7d766d", column="number"),
    ]


def _label(
    of: str, language: str, size: tuple[int, float], colour: str, only: Any = None, column: str = "", **layout: Any
) -> Layer:
    """Names from a zoom on, in a size of pixels."""
    other = ("name_en", "name") if language == "en" else ("name", "name_en")
    text = ["get", column] if column else ["coalesce", *(["get", name] for name in other), ""]
    first, pixels = size
    look = {"text-color": colour, "text-halo-color": _HALO, "text-halo-width": 1.4}
    letters = {"text-field": text, "text-font": FONTS, "text-size": pixels, "text-max-width": 8, **layout}
    more = {"filter": only} if only is not None else {}
    if "maxzoom" in letters:
        more["maxzoom"] = letters.pop("maxzoom")
    return _layer(f"label-{of}-{first}", "symbol", of, look, layout=letters, minzoom=first, **more)


def _by_zoom(zooms: tuple[int, ...], values: Any) -> list[Any]:
    stops: list[Any] = ["interpolate", ["exponential", 1.5], ["zoom"]]
    for zoom, value in zip(zooms, values, strict=True):
        stops += [zoom, value]
    return stops


_IN_FORCE = ["!", ["has", "valid_to"]]
_AREAS = ["==", ["geometry-type"], "Polygon"]
_OLD = ["heritage", "religious"]
_OTHER_ROADS = ["match", ["get", "road_class"], [*_MAJOR, *_MINOR, "rail"], False, True]
_ALONG = {"symbol-placement": "line", "symbol-spacing": 320}
_BELOW = {"text-anchor": "top", "text-offset": [0.0, 0.6]}
