"""Content negotiation as RFC 9110 writes it: codings by q-value, entity tags, byte ranges, languages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

# Smallest first: where the client is indifferent the server's order decides.
CODINGS = ("br", "gzip", "identity")

_RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})")
_TAG = re.compile(rb'(?:W/)?("[^"]*")')


@lru_cache(maxsize=1024)
def weights(header: bytes) -> dict[str, float]:
    """q-value of every token of an Accept-like header; a malformed weight counts as 0."""
    table: dict[str, float] = {}
    for part in header.decode("latin-1").lower().split(","):
        token, *parameters = (word.strip() for word in part.split(";"))
        if not token:
            continue
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                quality = _quality(value.strip())
        table[token] = quality
    return table


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= 1.0 else 0.0


@lru_cache(maxsize=1024)
def codings(accept_encoding: bytes | None) -> tuple[str, ...]:
    """Content codings the client takes, best first; empty only where it refuses even the plain bytes.

    source  RFC 9110 section 12.5.3; without the header only identity is sent, which every client reads
    """
    if accept_encoding is None:
        return ("identity",)
    table = weights(accept_encoding)
    rest = table.get("*")
    ranked: list[tuple[float, str]] = []
    for name in CODINGS:
        quality = table.get(name, table.get("x-gzip") if name == "gzip" else None)
        if quality is None:
            # An unnamed identity stays acceptable, behind everything that was asked for.
            quality = rest if rest is not None else (0.0001 if name == "identity" else 0.0)
        if quality > 0.0:
            ranked.append((quality, name))
    return tuple(name for _, name in sorted(ranked, key=lambda pair: -pair[0]))


def matches(if_none_match: bytes, etag: bytes) -> bool:
    """True where the header names the tag (weak comparison) or is `*`."""
    return if_none_match.strip() == b"*" or etag in _TAG.findall(if_none_match)


def byte_range(header: bytes, size: int) -> tuple[int, int] | bool | None:
    """(first, last) of a single satisfiable range, False where it lies outside, None where it is to be ignored."""
    match = _RANGE.fullmatch(header.replace(b" ", b""))
    if match is None or match.groups() == (b"", b""):
        return None
    first, last = match.groups()
    if not first:
        suffix = int(last)
        return (max(0, size - suffix), size - 1) if suffix and size else False
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return (start, end) if start < size else False


def language(asked: str, accept_language: str) -> str:
    """ "zh" or "en": what `lang=` says, else the better weighted of Accept-Language, else Chinese."""
    if asked:
        return "en" if asked.lower().startswith("en") else "zh"
    table = weights(accept_language.encode("latin-1", "replace"))
    return "en" if _language_weight(table, "en") > _language_weight(table, "zh") else "zh"


def _language_weight(table: dict[str, float], code: str) -> float:
    return max((quality for tag, quality in table.items() if tag.split("-")[0] == code), default=0.0)


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The offered media type that the Accept header weighs highest; the first offered where it is absent."""
    if not accept:
        return offered[0]
    table = weights(accept.encode("latin-1", "replace"))
    ranked = [(_media_weight(table, media), -place, media) for place, media in enumerate(offered)]
    quality, _, media = max(ranked)
    return media if quality > 0.0 else ""


def _media_weight(table: dict[str, float], media: str) -> float:
    family = media.split("/")[0] + "/*"
    return next((table[name] for name in (media, family, "*/*") if name in table), 0.0)
