"""The index of a city's places from its store, and answers of geocoding as plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twin.analysis.geocode import Candidate, Surroundings
from twin.analysis.places import Places, places
from twin.features import Layer

if TYPE_CHECKING:
    from twin.city import City

_LAYERS = ("address", "building", "division", "road")


def places_digest(city: City) -> str:
    """What the index is made from, in one word: it changes when a layer does that the index reads."""
    store = city.store
    named = [("layer", name) for name in (_built(city), *_LAYERS)] + [("document", "succession")]
    return " ".join(store.item(kind, name).digest for kind, name in named if store.has(kind, name))


def make_places(city: City) -> Places:
    """The index over addresses, buildings and divisions of the store; what is not there counts as empty."""
    roads = set() if not city.store.has("layer", "road") else set(city.layer("road").column("name").tolist())
    return places(
        _layer(city, "address", "address"),
        _layer(city, _built(city), "building"),
        _layer(city, "division", "division"),
        city.succession(),
        roads,
    )


def _built(city: City) -> str:
    return "building_l2" if city.store.has("layer", "building_l2") else "building"


def _layer(city: City, name: str, feature_class: str) -> Layer:
    if not city.store.has("layer", name):
        return Layer.empty(feature_class, city.frame)
    layer = city.layer(name)
    return Layer.build(feature_class, layer.frame, layer.oid, layer.geometry, dict(layer.columns))


def candidate_as_dict(candidate: Candidate) -> dict[str, Any]:
    """Plain JSON values; reasons in Chinese and English."""
    return {
        "oid": candidate.oid,
        "kind": candidate.kind,
        "text": candidate.text,
        "lon": candidate.lonlat[0],
        "lat": candidate.lonlat[1],
        "building": candidate.building,
        "confidence": candidate.confidence,
        "reasons": [{"code": reason.code, "zh": reason.zh, "en": reason.en} for reason in candidate.reasons],
    }


def surroundings_as_dict(found: Surroundings) -> dict[str, Any]:
    """Plain JSON values; null where nothing is within reach."""
    near = None
    if found.address:
        near = {"oid": found.address, "text": found.address_text, "distance": _metres(found.address_distance)}
    house = None
    if found.building:
        house = {"oid": found.building, "name": found.building_name, "distance": _metres(found.building_distance)}
    chain = [{"code": code, "name": name, "level": level} for code, name, level in found.divisions]
    return {"divisions": chain, "address": near, "building": house}


def _metres(distance: float) -> float | None:
    return None if math.isnan(distance) else round(distance, 2)


def found_by(city: City, text: str, limit: int) -> dict[str, Any]:
    """The candidates of an address or a name as plain JSON values."""
    return {"candidates": [candidate_as_dict(candidate) for candidate in city.geocode(text, limit)]}


def found_at(city: City, at: Sequence[float]) -> dict[str, Any]:
    """What is at a point, degrees, as plain JSON values."""
    return surroundings_as_dict(city.reverse(at[0], at[1]))


def found_as_text(table: dict[str, Any]) -> str:
    """An answer of geocoding for a terminal."""
    if "candidates" not in table:
        lines = [" > ".join(row["name"] for row in table["divisions"]) or "区划之外 / outside all divisions"]
        for key in ("address", "building"):
            near = table[key]
            lines.append(f"{key:<9}" + ("-" if near is None else f"{_called(near)}  {near['distance']:g} m"))
        return "\n".join(lines)
    lines = []
    for row in table["candidates"]:
        why = "; ".join(f"{reason['zh']} / {reason['en']}" for reason in row["reasons"])
        lines.append(
            f"{row['confidence']:.2f}  {row['kind']:<9}{row['text']}  {row['lon']:.6f} {row['lat']:.6f}  {why}"
        )
    return "\n".join(lines) or "没有找到 / nothing found"


def _called(near: dict[str, Any]) -> str:
    words = near.get("text") or near.get("name")
    return f"{words} ({near['oid']})" if words else str(near["oid"])


def divisions_on(city: City, on: str) -> dict[str, Any]:
    """The divisions in force on a day and the succession, as plain JSON values."""
    layer = city.divisions(on)
    names = ("code", "name", "name_en", "division_level", "parent", "valid_from", "valid_to")
    columns = [layer.columns[name].tolist() if name in layer.columns else [""] * len(layer) for name in names]
    rows = [dict(zip(("oid", *names), row, strict=True)) for row in zip(layer.oid.tolist(), *columns, strict=True)]
    return {"on": on, "divisions": rows, "succession": city.succession()}


def divisions_as_text(table: dict[str, Any]) -> str:
    """The same for a terminal."""
    lines = [
        f"{row['code']:<14}{row['name']}  {row['division_level']}  {row['valid_from']}..{row['valid_to']}"
        for row in table["divisions"]
    ]
    if table["succession"]:
        lines.append("沿革 / succession")
    lines += [
        f"{row['day']}  {row['old_name']} -> {row['new_name']}  {row['kind']}  {row['share_old']:.0%} of the old"
        for row in table["succession"]
    ]
    return "\n".join(lines) or "没有区划 / no divisions"
