"""The public services as `services.toml` declares them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from twin.errors import OptionsError


@dataclass(frozen=True, slots=True)
class Service:
    """One public service: where it is, how it lays its files out, what it asks for in return.

    base    address without a slash at the end; the only place where one stands
    path    layout below it, with {names} to fill in
    layout  what else services.toml says of it
    """

    name: str
    title: str
    base: str
    path: str
    licence: str
    attribution: str
    accuracy: float = float("nan")
    layout: Mapping[str, Any] = field(default_factory=dict)

    def of_type(self, word: str) -> Service:
        """The service for one of its types: the type's own layout, licence and attribution over the service's."""
        said = self.layout["types"][word]
        plain = {key: said[key] for key in ("licence", "attribution") if key in said}
        rest = {key: value for key, value in self.layout.items() if key != "types"}
        return replace(self, layout={**rest, **said}, **plain)

    def url(self, path: str) -> str:
        """The whole address of a path below the service."""
        return f"{self.base}/{path.lstrip('/')}"


def read_services(mirror: str = "") -> dict[str, Service]:
    """The services by name; with a mirror each one's base becomes `<mirror>/<name>`.

    raises  OptionsError where the mirror is no http(s) address
    """
    if mirror and (urlsplit(mirror).scheme not in ("http", "https") or not urlsplit(mirror).netloc):
        raise OptionsError(f"--mirror {mirror!r}: wants an address like https://mirror.example/open-data")
    table = tomllib.loads((files("ingest.fetch") / "services.toml").read_text(encoding="utf-8"))
    known = ("title", "base", "path", "licence", "attribution", "accuracy")
    found = {}
    for name, said in table.items():
        plain = {key: said[key] for key in known if key in said}
        if mirror:
            plain["base"] = f"{mirror.rstrip('/')}/{name}"
        found[name] = Service(name=name, layout={k: v for k, v in said.items() if k not in known}, **plain)
    return found
