"""Pictures that faces wear: one file for each content, named by its hash, shared by all models of a store."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

from twin.errors import NotFoundError, StoreError
from twin.meshes import Solids
from twin.store.catalog import digest_of, write_atomic
from twin.store.protocol import ImageSource

_KINDS = (
    (re.compile(rb"\xff\xd8\xff"), ".jpg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), ".png"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), ".webp"),
    (re.compile(rb"II\*\0|MM\0\*"), ".tif"),
    (re.compile(rb"GIF8[79]a"), ".gif"),
    (re.compile(rb"BM"), ".bmp"),
)
_NAME = re.compile(r"[0-9a-f]{32}\.[a-z]{3,4}")


def image_name(data: bytes) -> str:
    """The name of a picture: hash of its bytes (BLAKE2b-128) and the suffix of its kind; "" for what is no picture."""
    suffix = next((suffix for magic, suffix in _KINDS if magic.match(data)), "")
    return f"{hashlib.blake2b(data, digest_size=16).hexdigest()}{suffix}" if suffix else ""


class ImageShelf:
    """A folder of pictures; a file is never changed, only put and taken away."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def shelve(
        self, batches: Iterable[tuple[str, Solids]], images: ImageSource, worn: dict[str, None]
    ) -> Iterator[tuple[str, Solids]]:
        """The batches as they come, their pictures kept before each goes on; `worn` gathers the names."""
        for cell, solids in batches:
            for texture in solids.skin.textures if solids.skin is not None else ():
                if texture.image not in worn:
                    self._put(texture.image, images)
                    worn[texture.image] = None
            yield cell, solids

    def _put(self, name: str, images: ImageSource) -> None:
        path = self._path(name)
        if path.exists() and self.is_sound(name):
            return
        data = images[name]
        if image_name(data) != name:
            raise StoreError(f"picture {name}: its bytes do not fit its name; it changed while it was read")
        write_atomic(path, data)

    def read(self, name: str) -> bytes:
        """The picture; NotFoundError where there is none."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"the store has no picture {name!r}; run the stage that made its model") from error

    def size(self, name: str) -> int:
        """Bytes it takes; 0 where it is gone."""
        path = self._path(name)
        return path.stat().st_size if path.exists() else 0

    def is_sound(self, name: str) -> bool:
        """True where the file is there and its bytes are those of its name."""
        path = self._path(name)
        return path.exists() and digest_of(path) == path.stem

    def sweep(self, keep: Set[str]) -> None:
        """Take away every file that is not in `keep`, left-overs of a killed writer included."""
        if not self._root.is_dir():
            return
        for path in self._root.iterdir():
            if path.name not in keep:
                path.unlink(missing_ok=True)
        if not keep:
            self._root.rmdir()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise StoreError(f"{name!r} is no name of a picture; image_name makes it from the bytes")
        return self._root / name
