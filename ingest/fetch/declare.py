"""What was fetched, declared in city.toml: a new file from the template, or tables added to the one there is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ingest.fetch.places import Place, frame_for
from twin.city import City, open_city
from twin.errors import SourceError
from twin.template import write_template

Table = Mapping[str, Any]


def new_city(root: Path, place: Place, vertical: str) -> City:
    """A city.toml from the template of `twin init`, with a frame that suits the place and a view onto its middle."""
    crs, name = frame_for(place)
    path = write_template(root)
    lon, lat = place.center
    text = path.read_text(encoding="utf-8")
    changes = {
        r'crs = "EPSG:4547"': f'crs = "{crs}"               # {name}',
        r'# vertical = ""': f'vertical = "{vertical}"            # of the fetched heights',
        r"# lon = nan": f"lon = {lon:.6f}",
        r"# lat = nan": f"lat = {lat:.6f}",
    }
    for old, new in changes.items():
        if re.search(rf"^{re.escape(old)}$", text, re.MULTILINE) is None:
            raise SourceError(f"{path}: the template has no line {old!r}; run `twin init` and declare [frame] yourself")
        text = re.sub(rf"^{re.escape(old)}$", lambda _, new=new: new, text, count=1, flags=re.MULTILINE)  # type: ignore[misc]
    _replace(path, text)
    return open_city(root)


def add_sources(city: City, tables: Sequence[Table]) -> list[str]:
    """Add [[source]] tables whose name is not declared yet; returns the names added. What is there stays as it is."""
    have = {source.name for source in city.sources}
    fresh = [table for table in tables if table["name"] not in have]
    if fresh:
        path = city.root / "city.toml"
        text = path.read_text(encoding="utf-8-sig").rstrip("\n") + "\n"
        _replace(path, text + "".join("\n" + source_text(table) for table in fresh))
        open_city(city.root)
    return [str(table["name"]) for table in fresh]


def source_text(table: Table) -> str:
    """One [[source]] as TOML; nested tables as [source.<key>.<column>]."""
    lines = ["[[source]]"]
    lines += [f"{key} = {_value(value)}" for key, value in table.items() if key != "values" and value != ""]
    for column, pairs in table.get("values", {}).items():
        lines += ["", f"[source.values.{column}]", *(f"{json.dumps(k)} = {_value(v)}" for k, v in pairs.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(v)}" for key, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
