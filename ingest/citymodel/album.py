"""Pictures that model files name: found inside the delivery and nowhere else, named by content, read when kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from twin.meshes import Texture
from twin.store.images import image_name

IMAGE_LIMIT = 256 * 2**20
_HEAD = 16
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")

# Words of CityGML and CityJSON for what is beyond the edge of a picture -> ours ("none" and "border" repeat nothing).
WRAPS: Mapping[str, str] = MappingProxyType(
    {"wrap": "repeat", "mirror": "mirror", "clamp": "clamp", "border": "clamp", "none": "clamp", "": "repeat"}
)
_LOST = {
    "missing": "不在交付中 / are not in the delivery",
    "outside": "指向交付文件夹之外,拒绝 / point out of the delivery folder and were refused",
    "remote": "是网络地址,不下载 / are addresses, nothing is downloaded",
    "unreadable": "不是图像或过大 / are no pictures or too large",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pictures of a file are looked for.

    base    folder that relative names start from: that of the file
    fence   folder that no name may leave: that of city.toml where the file lies below it, else that of the file
    """

    base: Path
    fence: Path

    @staticmethod
    def of(path: Path, root: Path) -> Place:
        """The place of a model file of a delivery declared in `root`."""
        base = path.parent.resolve()
        home = root.resolve()
        return Place(base, home if base.is_relative_to(home) else base)

    def find(self, name: str) -> Path | str:
        """The file of a name as the model gives it, or why there is none: a key of the words above."""
        text = name.strip().replace("\\", "/")
        if _REMOTE.match(text) and not _DRIVE.match(name.strip()):
            return "remote"
        for word in (text, unquote(text)):
            try:
                path = (self.base / word).resolve()
                if not path.is_relative_to(self.fence) or _DRIVE.match(word):
                    return "outside"
                if path.is_file():
                    return path
            except (OSError, ValueError):
                return "unreadable"
        return "missing"


def count_images(names: Iterable[str], place: Place) -> Counter[str]:
    """How many names lead to a picture ("present"), and how many are lost for which reason."""
    return Counter(_state(place.find(name)) for name in names)


def _state(found: Path | str) -> str:
    if isinstance(found, str):
        return found
    try:
        with found.open("rb") as file:
            return "present" if image_name(file.read(_HEAD)) and found.stat().st_size <= IMAGE_LIMIT else "unreadable"
    except OSError:
        return "unreadable"


def lost_lines(counts: Mapping[str, int], shown: str) -> list[str]:
    """One line for each reason why pictures are lost; the geometry stays."""
    total = sum(counts.values())
    return [
        f"{shown}: {counts[reason]} of {total} texture images {words}; the faces stay without them"
        for reason, words in _LOST.items()
        if counts.get(reason)
    ]


@dataclass(slots=True)
class Album:
    """The pictures of a delivery, by the name they will have in the store; bytes are read when the store asks.

    Memory: names and paths of the pictures, a few hundred bytes each; never more than one picture.
    """

    _known: dict[tuple[Path, str], str] = field(default_factory=dict)
    _paths: dict[str, Path] = field(default_factory=dict)

    def texture(self, name: str, wrap: str, place: Place) -> Texture | None:
        """The texture of a picture as a model file names it; None where there is none."""
        key = (place.base, name)
        if key not in self._known:
            self._known[key] = self._take(place.find(name))
        image = self._known[key]
        return Texture(image, WRAPS.get(wrap.strip().lower(), "repeat")) if image else None

    def _take(self, found: Path | str) -> str:
        if isinstance(found, str) or _state(found) != "present":
            return ""
        image = image_name(found.read_bytes())
        self._paths.setdefault(image, found)
        return image

    def __getitem__(self, image: str) -> bytes:
        """The bytes of a picture by its name in the store; KeyError where no model of this delivery names it."""
        return self._paths[image].read_bytes()
