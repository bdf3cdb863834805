"""What was made of a square, as bytes: its tiles, the blocks that the tiles above are made of, and how it merged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from tiles.lod.blocks import Blocks
from tiles.lod.fitting import Merged, Tally
from tiles.scheme.tree import Tile, from_dict
from tiles.shelf import Shelf
from twin.features import objects
from twin.outcome import Outcome

_NUMBERS = ("ground", "base", "top", "across", "low", "high", "members", "area", "landmark")
_PAIRS = {"middle": 2, "slope": 2, "colour": 3}
"""Numbers of several columns, and how many."""


@dataclass(frozen=True, slots=True)
class Made:
    """A square's tiles and what stands for it in the tiles above.

    blocks      None where nothing of the square can be drawn
    lost        m, height of the highest building that the blocks leave out
    tallest     m, height of the highest building
    outcomes    solids that could not be drawn
    whole       the tile draws buildings, not blocks, and so do those below it
    """

    tile: Tile
    blocks: Blocks | None
    lost: float
    tallest: float
    outcomes: tuple[Outcome, ...] = ()
    whole: bool = False


def pack(made: Made) -> bytes:
    """The bytes of what was made, an Arrow IPC file."""
    columns = {} if made.blocks is None else _columns(made.blocks)
    told = {
        "tile": made.tile.as_dict(),
        "lost": made.lost,
        "tallest": made.tallest,
        "whole": made.whole,
        "outcomes": [[o.oid, o.status, o.reason, o.stage] for o in made.outcomes],
    }
    return _bytes(columns, told)


def unpack(data: bytes) -> Made:
    """What `pack` was given."""
    batch, told = _opened(data)
    tile, outcomes = from_dict(told["tile"]), tuple(Outcome(*line) for line in told["outcomes"])
    blocks = _blocks(batch) if batch.num_columns else None
    return Made(tile, blocks, told["lost"], told["tallest"], outcomes, told["whole"])


def keep_merged(shelf: Shelf, place: str, merged: Merged) -> None:
    """Keep how the blocks of a place were merged, instead of how they were before.

    It serves the next run alone: what it tells is looked up under digests, so it is never wrong, only of no use.
    """
    told = {
        "rung": merged.rung,
        "patches": [merged.keys, merged.counts],
        "tallies": [
            [rung, [[key, one.blocks, one.corners, one.lost] for key, one in patches.items()]]
            for rung, patches in merged.tallies.items()
        ],
    }
    shelf.keep_note(place, _bytes(_columns(merged.blocks), told))


def merged_before(shelf: Shelf, place: str) -> Merged | None:
    """What `keep_merged` kept of a place; None where there is nothing."""
    note = shelf.note(place)
    if not note.is_file():
        return None
    batch, told = _opened(note.read_bytes())
    tallies = {rung: {key: Tally(*one) for key, *one in patches} for rung, patches in told["tallies"]}
    keys, counts = told["patches"]
    return Merged(_blocks(batch), told["rung"], tuple(keys), tuple(counts), tallies)


def _bytes(columns: dict[str, Any], told: dict[str, Any]) -> bytes:
    batch = pa.RecordBatch.from_pydict(columns).replace_schema_metadata({"made": json.dumps(told)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _opened(data: bytes) -> tuple[pa.RecordBatch, Mapping[str, Any]]:
    reader = pa.ipc.open_file(pa.py_buffer(data))
    return reader.get_batch(0), json.loads(reader.schema.metadata[b"made"])


def _columns(blocks: Blocks) -> dict[str, Any]:
    columns: dict[str, Any] = {"outline": shapely.to_wkb(blocks.outline).tolist(), "oid": blocks.oid.tolist()}
    columns |= {name: getattr(blocks, name) for name in _NUMBERS}
    for name, wide in _PAIRS.items():
        columns |= {f"{name}{c}": np.ascontiguousarray(getattr(blocks, name)[:, c]) for c in range(wide)}
    return columns | {f"@{key}": _column(values) for key, values in blocks.columns.items()}


def _blocks(batch: pa.RecordBatch) -> Blocks:
    plain = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in _NUMBERS}
    outline = np.empty(batch.num_rows, dtype=object)
    outline[:] = shapely.from_wkb(batch.column("outline").to_pylist())
    columns = {name[1:]: _values(batch.column(name)) for name in batch.schema.names if name[0] == "@"}
    for name, wide in _PAIRS.items():
        plain[name] = np.column_stack([batch.column(f"{name}{c}").to_numpy() for c in range(wide)])
    oid = objects(batch.column("oid").to_pylist())
    return Blocks(outline=outline, oid=oid, columns=columns, **plain)


def _column(values: NDArray[Any]) -> pa.Array:
    return pa.array(values.tolist(), pa.string()) if values.dtype == object else pa.array(values)


def _values(column: pa.Array) -> NDArray[Any]:
    if pa.types.is_string(column.type):
        return objects(column.to_pylist())
    return np.asarray(column.to_numpy(zero_copy_only=False))
