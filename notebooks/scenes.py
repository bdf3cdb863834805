"""Scenes for analysts: pydeck views of a city that open with the network closed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydeck
import shapely

import twin

# Colours and words of the five risk levels; level 0 is "insufficient data".
RISK = {
    5: ("#C00000", "高 high"),
    4: ("#F07818", "中高 medium-high"),
    3: ("#F8D030", "中 medium"),
    2: ("#90C878", "中低 medium-low"),
    1: ("#4890D8", "低 low"),
    0: ("#9A9A96", "数据不足 insufficient data"),
}

EVIDENCE = {
    "surveyed": "测绘 surveyed",
    "pointcloud": "激光 point cloud",
    "dsm": "表面模型 DSM",
    "storeys": "层数 storeys",
    "neighbours": "邻近 neighbours",
    "default": "推测 default",
}


def heights_by_evidence(city: twin.City):
    """A table, one row an evidence: buildings, share, median height and median stated uncertainty in metres."""
    import pandas as pd

    layer = city.layer("building_l2")
    table = pd.DataFrame({k: layer.columns[k] for k in ("height_evidence", "height_m", "height_sigma")})
    grouped = table.groupby("height_evidence").agg(
        buildings=("height_m", "size"),
        median_height_m=("height_m", "median"),
        median_sigma_m=("height_sigma", "median"),
    )
    grouped.insert(1, "share", grouped["buildings"] / len(table))
    order = [name for name in EVIDENCE if name in grouped.index]
    return grouped.loc[order].rename(index=EVIDENCE)


def risk_levels(city: twin.City, theme: str = "flood") -> dict[str, int]:
    """oid -> risk level 1..5, 0 where data was insufficient."""
    zones = city.layer(f"zone_{theme}_building")
    levels = np.nan_to_num(zones.columns["level"], nan=0.0).astype(int)
    return dict(zip(zones.oid.tolist(), levels.tolist(), strict=True))


def risk_deck(
    city: twin.City, theme: str = "flood", *, around: tuple[float, float] | None = None, radius: float = 1500.0
):
    """A pydeck view: buildings within `radius` metres of (lon, lat) `around`, as blocks coloured by risk level."""
    layer = city.layer("building_l2")
    centre = np.array(city.frame.from_lonlat([around])[0] if around else _middle(layer))
    layer = layer.select(shapely.dwithin(layer.geometry, shapely.Point(centre), radius))
    levels = risk_levels(city, theme)
    deck_layer = pydeck.Layer(
        "PolygonLayer",
        _rows(layer, levels),
        get_polygon="ring",
        get_elevation="height",
        get_fill_color="colour",
        extruded=True,
        pickable=True,
        material={"ambient": 0.5, "diffuse": 0.6, "shininess": 8},
    )
    lon, lat = city.frame.to_lonlat([centre])[0]
    view = pydeck.ViewState(longitude=float(lon), latitude=float(lat), zoom=14.2, pitch=52, bearing=30)
    tooltip = {"text": "{name}\n{oid}\n{height} m  {word}"}
    return pydeck.Deck([deck_layer], initial_view_state=view, map_provider=None, map_style=None, tooltip=tooltip)


def save_offline(deck: pydeck.Deck, path: str | Path, title: str = "Pingcheng") -> Path:
    """Write the view as one HTML file that asks nothing of any network.

    `Deck.to_html(offline=True)` still links five style sheets and scripts elsewhere, hence this page of our own.
    """
    bundle = Path(pydeck.__file__).parent / "nbextension" / "static" / "index.js"
    script = bundle.read_text(encoding="utf-8").replace("</script", "<\\/script")
    script = "\n".join(line for line in script.splitlines() if not line.startswith("//# sourceMappingURL"))
    scene = deck.to_json().replace("</", "<\\/")
    tooltip = json.dumps(deck._tooltip, ensure_ascii=False).replace("</", "<\\/")
    legend = "".join(
        f'<li><i style="background:{c}"></i>{level or "-"} {word}</li>' for level, (c, word) in RISK.items()
    )
    out = Path(path)
    out.write_text(
        _PAGE.format(title=title, script=script, scene=scene, tooltip=tooltip, legend=legend), encoding="utf-8"
    )
    return out


def _middle(layer: twin.Layer) -> tuple[float, float]:
    xmin, ymin, xmax, ymax = layer.bounds
    return (xmin + xmax) / 2.0, (ymin + ymax) / 2.0


def _rows(layer: twin.Layer, levels: dict[str, int]) -> list[dict]:
    rings = shapely.get_exterior_ring(layer.geometry)
    xy, owner = shapely.get_coordinates(rings, return_index=True)
    lonlat = np.round(layer.frame.to_lonlat(xy), 6)
    parts = np.split(lonlat, np.flatnonzero(np.diff(owner)) + 1) if len(lonlat) else []
    rows = []
    for row, ring in enumerate(parts):
        level = levels.get(layer.oid[row], 0)
        colour, word = RISK[level]
        rows.append(
            {
                "oid": layer.oid[row],
                "name": layer.columns["name"][row],
                "height": round(float(layer.columns["height_m"][row]), 1),
                "ring": ring.tolist(),
                "colour": [int(colour[k : k + 2], 16) for k in (1, 3, 5)],
                "word": f"{level} {word}",
            }
        )
    return rows


_PAGE = """<!DOCTYPE html>
<html lang="zh">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
html, body, #deck {{ margin: 0; height: 100%; overflow: hidden; background: #e9e6df; }}
#deck {{ position: absolute; inset: 0; }}
ul {{ position: absolute; left: 16px; bottom: 16px; margin: 0; padding: 10px 14px; list-style: none; background: #fffd;
  font: 14px "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif; border-radius: 6px; }}
li {{ line-height: 1.7; }}
i {{ display: inline-block; width: 14px; height: 14px; margin-right: 8px; vertical-align: -2px; }}
</style>
<script>{script}</script>
</head>
<body>
<div id="deck"></div>
<ul>{legend}</ul>
<script>
const deck = createDeck({{ container: document.getElementById("deck"), jsonInput: {scene}, tooltip: {tooltip} }});
document.documentElement.dataset.deckState = "made";
</script>
</body>
</html>
"""
