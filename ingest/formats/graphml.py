"""Road graphs in GraphML as OSMnx writes them: nodes with x and y, edges with tags, one line an edge, as a stream."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import shapely

from ingest.formats.claims import refuse_deep_text
from ingest.formats.osm import metres, table
from ingest.formats.xml import refuse_doctype
from ingest.reading import Delivery, RawTable
from twin.errors import SourceError
from twin.features import objects

GRAPHML_SUFFIX = ".graphml"
_SPACE = "{http://graphml.graphdrawing.org/xmlns}"
_LONGEST = 4096
_NUMERIC = ("lanes", "width")


def read_graphml(path: Path, delivery: Delivery) -> RawTable:
    """The edges of a road graph as they are, both directions of a street where the graph has both.

    source_id   "<from node>-<to node>-<key>"; geometry the edge's WKT, else the straight line between its nodes
    fields      highway as road_class by the table of OSM tags; values that are lists as text are joined by ";",
                numbers of a list are its first
    memory      places of the nodes, and the edges, which are the layer
    raises      SourceError for a document type, damaged XML, an edge whose node has no place, another root
    """
    shown = delivery.shown(path)
    nodes: dict[str, tuple[float, float]] = {}
    edges: list[tuple[str, str, str, dict[str, str]]] = []
    with path.open("rb") as file:
        refuse_doctype(file, shown, "GraphML")
        file.seek(0)
        try:
            for tag, element, data in _elements(file, shown):
                if tag == "node":
                    nodes[element["id"]] = (float(data["x"]), float(data["y"]))
                else:
                    edges.append((element["source"], element["target"], element.get("id", str(len(edges))), data))
            refuse_deep_text((edge[3].get("geometry", "") for edge in edges), f"{shown}: geometry")
            geometry = [_line(edge, nodes) for edge in edges]
        except ElementTree.ParseError as err:
            raise SourceError(f"{shown}: damaged or cut short XML ({str(err)[:100]}); ask for the file again") from err
        # shapely has no class for curves and surfaces, and says so by NotImplementedError.
        except (KeyError, ValueError, NotImplementedError, shapely.errors.ShapelyError) as err:
            raise SourceError(f"{shown}: a node or edge lacks its place or ends ({str(err)[:100]})") from err
    ids = objects([f"{source}-{target}-{key}" for source, target, key, _ in edges])
    return RawTable({"source_id": ids} | _fields([edge[3] for edge in edges]), objects(geometry), "EPSG:4326", shown)


def _elements(file: Any, shown: str) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """(node or edge, attributes, data by name), each let go when it is read."""
    names: dict[str, str] = {}
    root: Any = None
    graph: Any = None
    for event, element in ElementTree.iterparse(file, events=("start", "end")):
        tag = element.tag.removeprefix(_SPACE)
        if root is None:
            root = graph = element
            if tag != "graphml":
                raise SourceError(f"{shown}: XML, but no GraphML (its root is {tag[:40]})")
        if event == "start":
            graph = element if tag == "graph" else graph
            continue
        if tag == "key":
            names[str(element.get("id"))] = str(element.get("attr.name"))
        elif tag in ("node", "edge"):
            data = {names.get(str(part.get("key")), ""): part.text or "" for part in element}
            yield tag, dict(element.attrib), data
            graph.remove(element)


def _line(edge: tuple[str, str, str, dict[str, str]], nodes: dict[str, tuple[float, float]]) -> Any:
    source, target, _, data = edge
    if data.get("geometry"):
        return shapely.from_wkt(data["geometry"])
    return shapely.LineString([nodes[source], nodes[target]])


def _fields(rows: list[dict[str, str]]) -> dict[str, Any]:
    keys = sorted({key for row in rows for key in row} - {"", "geometry"})
    fields: dict[str, Any] = {}
    for key in keys:
        listed = [_list(row.get(key, "")) for row in rows]
        if key in _NUMERIC:
            fields[key] = np.array([metres(words[0]) if words else np.nan for words in listed], dtype=np.float64)
        elif key == "bridge":
            fields[key] = np.array([float(bool(words) and words[0] != "no") for words in listed])
        else:
            fields[key] = objects([";".join(words) for words in listed])
    if "highway" in fields:
        lookup = table()["values"]["road_class"]
        first = [word.partition(";")[0] for word in fields["highway"].tolist()]
        fields["road_class"] = objects([lookup.get(word, lookup["*"]) if word else "" for word in first])
    return fields


def _list(text: str) -> list[str]:
    """The values of a text that may be a list written as Python writes it."""
    # The parser of Python calls itself for each bracket and sign: a list as OSMnx writes it has one pair.
    if text.startswith("[") and text.count("[") == 1 and len(text) <= _LONGEST:
        try:
            return [str(value) for value in ast.literal_eval(text)]
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return [text]
    return [text] if text else []
