"""Ways to spoil bytes: blind ones for any file, and tools for those that know where a format keeps its promises.

A mutator takes a Seed and returns the files that replace those of the seed. All are functions of their name: the same
name spoils in the same way.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping

from tests.robustness.city import Seed

Files = dict[str, bytes]
Mutator = Callable[[Seed], Files]
Cases = dict[str, Mutator]

EXTREMES = {
    "B": (0, 0xFF),
    "H": (0, 0xFFFF),
    "I": (0, 0x7FFF_FFFF, 0xFFFF_FFFF),
    "i": (0, -1, 0x7FFF_FFFF),
    "Q": (0, 2**63 - 1, 2**64 - 1),
    "d": (float("nan"), float("inf"), 1e308, 0.0),
}
BLIND = 3


def over(name: str, change: Callable[[bytes], bytes]) -> Mutator:
    """A change of one file of the seed; "" is its target."""
    return lambda seed: {name or seed.target: change(seed.files[name or seed.target])}


def patch(data: bytes, offset: int, new: bytes) -> bytes:
    """The bytes with some of them replaced, a negative offset counting from the end."""
    offset = offset if offset >= 0 else len(data) + offset
    return data[:offset] + new + data[offset + len(new) :]


def header(
    table: Iterable[tuple[str, int, str]], file: str = "", values: Mapping[str, Iterable[float]] = EXTREMES
) -> Cases:
    """Each field (name, offset, struct format with byte order) at each extreme of its type."""
    cases: Cases = {}
    for name, offset, form in table:
        for value in values[form[-1]]:
            packed = struct.pack(form, value)
            cases[f"{name}={value:g}"] = over(file, lambda data, at=offset, new=packed: patch(data, at, new))  # type: ignore[misc]
    return cases


def replaced(table: Mapping[str, tuple[str, str]], file: str = "") -> Cases:
    """Text for text, once; the text must be there."""

    def change(data: bytes, old: str, new: str) -> bytes:
        assert old.encode() in data, f"{old!r} is not in the seed"
        return data.replace(old.encode(), new.encode(), 1)

    return {
        name: over(file, lambda data, old=old, new=new: change(data, old, new))  # type: ignore[misc]
        for name, (old, new) in table.items()
    }


def instead(table: Mapping[str, bytes | Callable[[], bytes]]) -> Cases:
    """Other bytes in the place of the target."""
    return {
        name: lambda seed, data=data: {seed.target: data() if callable(data) else data}  # type: ignore[misc]
        for name, data in table.items()
    }


def blind(seed_name: str, count: int = BLIND) -> Cases:
    """Files cut short, bits turned, runs of zeros and ones, blocks moved: nothing known of the format."""
    ways = random.Random(seed_name).sample((_cut, _flip_few, _flip_head, _run, _flip_many, _shuffle), count)
    return {
        way.__name__[1:]: over(
            "",
            lambda data, way=way: way(data, random.Random(f"{seed_name}/{way.__name__}")),  # type: ignore[misc]
        )
        for way in ways
    }


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.choice([0, 1, rng.randrange(min(64, len(data))), rng.randrange(len(data)), len(data) - 1])]


def _flip(data: bytes, rng: random.Random, count: int, end: int) -> bytes:
    spoiled = bytearray(data)
    for _ in range(count):
        spoiled[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(spoiled)


def _flip_few(data: bytes, rng: random.Random) -> bytes:
    return _flip(data, rng, 4, len(data))


def _flip_head(data: bytes, rng: random.Random) -> bytes:
    return _flip(data, rng, 3, min(256, len(data)))


def _flip_many(data: bytes, rng: random.Random) -> bytes:
    return _flip(data, rng, max(8, len(data) // 100), len(data))


def _run(data: bytes, rng: random.Random) -> bytes:
    start, length = rng.randrange(len(data)), rng.choice([4, 16, 256, 4096])
    return patch(data, start, rng.choice([b"\x00", b"\xff", b"\x7f"]) * min(length, len(data) - start))


def _shuffle(data: bytes, rng: random.Random) -> bytes:
    step = max(1, len(data) // 8)
    blocks = [data[k : k + step] for k in range(0, len(data), step)]
    rng.shuffle(blocks)
    return b"".join(blocks)


def zipped(members: Mapping[str, bytes], change: Callable[[zipfile.ZipInfo], None] | None = None) -> bytes:
    """A ZIP archive; `change` may spoil the entry of each member before it is written."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            if change:
                change(entry)
            archive.writestr(entry, data)
    return buffer.getvalue()


def rezipped(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """The same archive with its members changed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return zipped({name: change(name, archive.read(name)) for name in archive.namelist()})


def bomb(head: bytes, filler: bytes, mib: int, tail: bytes = b"") -> bytes:
    """A ZIP of one member `bomb` that unpacks to `mib` MiB; written block by block."""
    buffer = io.BytesIO()
    block = filler * (2**20 // len(filler))
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("bomb", "w", force_zip64=True) as file,
    ):
        file.write(head)
        for _ in range(mib):
            file.write(block)
        file.write(tail)
    return buffer.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk with a sound checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
