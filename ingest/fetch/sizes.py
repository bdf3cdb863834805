"""What a fetch would bring, and how many bytes of it are still to come: told before anything is written."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ingest.fetch.build import Errand, Wish, osm_extract, overture_files, scenes_of
from ingest.fetch.download import AbsentError, Patience, Tell, ask
from ingest.fetch.ledger import ORIGINALS, Ledger
from ingest.fetch.places import degree_tiles, tile_stem
from ingest.fetch.services import Service, read_services
from twin.errors import SourceError
from twin.outcome import Outcome, Report


@dataclass(frozen=True, slots=True)
class Piece:
    """One file, or one row group of one, that a fetch brings.

    url     where it is
    kept    name under which the ledger keeps it
    size    bytes on the wire
    """

    url: str
    kept: str
    size: int


def weigh(root: Path, wish: Wish, tell: Tell | None = None) -> Report:
    """The files and bytes that `fetch` would bring for each word of the wish; nothing is written below `root`.

    Indexes of the services are read into a folder that goes away, sizes are asked for with one byte each.
    raises  OptionsError for a wish that makes no sense
    """
    place, services = wish.check(), read_services(wish.mirror)
    here = Ledger.open(root, wish.patience, None).entries
    figures: dict[str, int] = {}
    total: dict[str, int] = {}
    outcomes, warnings = [], []
    with tempfile.TemporaryDirectory() as scratch:
        errand = Errand(wish, place, services, Ledger(Path(scratch), wish.patience, tell))
        for word in dict.fromkeys(wish.what):
            try:
                pieces = list(_PIECES[word](errand))
            except SourceError as error:
                outcomes.append(Outcome(word, "failed", str(error), "fetch"))
                continue
            fresh = [piece for piece in pieces if piece.kept not in here]
            total |= {piece.kept: piece.size for piece in fresh}
            sizes = Counter[str]()
            for piece in fresh:
                sizes[piece.url] += piece.size
            figures |= {f"{word}.files": len({p.url for p in pieces}), f"{word}.bytes_to_come": sizes.total()}
            warnings += [f"{word}: {url} {size / 1e6:.1f} MB" for url, size in sizes.items()]
    figures["bytes_to_come"] = sum(total.values())
    warnings.append(f"{figures['bytes_to_come'] / 1e6:.1f} MB to come in all; without --dry-run they are fetched")
    warnings += errand.notes
    done = len(set(wish.what)) - len(outcomes)
    return Report("fetch --dry-run", done, tuple(outcomes), figures, tuple(warnings))


def remote_size(url: str, patience: Patience) -> int:
    """Bytes of a file on a server; one of them crosses the wire."""
    body, said = ask(url, {"Range": "bytes=0-0"}, patience, (206, 200))
    found = re.fullmatch(r"bytes \d+-\d+/(\d+)", said.get("Content-Range", ""))
    return int(found[1]) if found else len(body)


def _dem(errand: Errand) -> Iterator[Piece]:
    service = errand.service("copernicus-dem")
    for lon, lat in degree_tiles(errand.place):
        try:
            yield _whole(errand, service, service.path.format(stem=tile_stem(service.layout["stem"], lon, lat)))
        except AbsentError as error:
            errand.notes.append(f"dem: {error}; taken as open sea (or not released to the public)")


def _rows(word: str) -> Callable[[Errand], Iterator[Piece]]:
    def pieces(errand: Errand) -> Iterator[Piece]:
        from ingest.fetch.overture import part_of, weigh_rows

        service = errand.service("overture")
        for key in overture_files(errand, word)[1]:
            url = service.url(key)
            for group, size in weigh_rows(url, word, errand.place, errand.ledger.patience).items():
                kept = f"{ORIGINALS}/{service.name}/{part_of(key, errand.place, group)}"
                yield Piece(url, kept, size)

    return pieces


def _extract(errand: Errand) -> Iterator[Piece]:
    yield _whole(errand, errand.service("openstreetmap"), osm_extract(errand))


def _imagery(errand: Errand) -> Iterator[Piece]:
    for scene in scenes_of(errand):
        yield _whole(errand, errand.service("sentinel-2"), scene.path)


def _whole(errand: Errand, service: Service, path: str) -> Piece:
    url = service.url(path)
    return Piece(url, f"{ORIGINALS}/{service.name}/{path}", remote_size(url, errand.ledger.patience))


_PIECES: MappingProxyType[str, Callable[[Errand], Iterator[Piece]]] = MappingProxyType(
    {
        "dem": _dem,
        "buildings": _rows("buildings"),
        "roads": _rows("roads"),
        "addresses": _rows("addresses"),
        "imagery": _imagery,
        "osm-buildings": _extract,
        "osm-roads": _extract,
        "osm-addresses": _extract,
    }
)
