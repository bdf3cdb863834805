"""Attributes of a CityGML building: plain, generic, of an address, and of extensions (ADE), as one flat table row."""

from __future__ import annotations

from typing import Any

from ingest.citymodel.codes import CodeLists
from ingest.citymodel.meter import local

_STANDARD = "http://www.opengis.net/"
_ADDRESS = ("CountryName", "LocalityName", "ThoroughfareName", "ThoroughfareNumber", "PostalCodeNumber")
_DEEPEST = 6


def attributes_of(element: Any, lists: CodeLists | None = None) -> dict[str, Any]:
    """Plain attributes by local name, generic ones by their own, those of extensions as objects in objects.

    A code stays as it is; its word, where a code list of the delivery tells it, stands beside it under <name>_name.
    """
    found: dict[str, Any] = {}
    for child in element:
        name = local(child.tag)
        if name == "address":
            found.setdefault("address", _address(child))
        elif name == "height":
            found.setdefault("measuredHeight", _leaf(child, "value"))
        elif name == "genericAttribute" or (name.endswith(("Attribute", "AttributeSet")) and child.get("name")):
            _generic(child, found)
        elif not len(child):
            _plain(child, found, lists)
        elif not child.tag.startswith("{" + _STANDARD):
            _extended(child, found, lists)
    return {key: value for key, value in found.items() if value}


def _leaf(element: Any, name: str) -> str:
    text = next((leaf.text for leaf in element.iter() if local(leaf.tag) == name), None)
    return (text or "").strip()


def _plain(element: Any, found: dict[str, Any], lists: CodeLists | None) -> None:
    name, text = local(element.tag), (element.text or "").strip()
    if not text or name in found:
        return
    found[name] = text
    space = element.get("codeSpace")
    if space and lists is not None and lists.word(space, text):
        found[f"{name}_name"] = lists.word(space, text)


def _generic(element: Any, found: dict[str, Any]) -> None:
    """gen:stringAttribute of 2.0, a set of them, or gen:StringAttribute of 3.0 inside its property."""
    name = element.get("name") or _leaf(element, "name")
    if local(element.tag).endswith("AttributeSet"):
        inner: dict[str, Any] = {}
        for child in element:
            if child.get("name"):
                _generic(child, inner)
        found.setdefault(str(name), inner)
    elif name:
        found.setdefault(str(name), _leaf(element, "value"))


def _extended(element: Any, found: dict[str, Any], lists: CodeLists | None) -> None:
    """A property of an application domain extension; one that stands several times is a list."""
    name, value = local(element.tag), _inside(element, lists, _DEEPEST)
    if not value:
        return
    if name not in found:
        found[name] = value
    elif isinstance(found[name], list):
        found[name].append(value)
    else:
        found[name] = [found[name], value]


def _inside(element: Any, lists: CodeLists | None, depth: int) -> dict[str, Any]:
    """What stands inside a property: the members of its only object, or its own."""
    members = list(element)
    if len(members) == 1 and len(members[0]):
        members = list(members[0])
    inner: dict[str, Any] = {}
    for member in members:
        if not len(member):
            _plain(member, inner, lists)
        elif depth and not member.tag.startswith("{" + _STANDARD + "gml"):
            _extended(member, inner, lists)
    return inner


def _address(element: Any) -> str:
    leaves = [(local(leaf.tag), (leaf.text or "").strip()) for leaf in element.iter()]
    return " ".join(text for name, text in leaves if name in _ADDRESS and text)
