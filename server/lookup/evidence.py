"""How the ancient city's models are known: per city object its parts, their evidence, and the words of its sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from server.deps import Context
from twin.meshes import Solids
from twin.store import Store

MODEL = "l3"
SOURCES = "heritage_sources"
# What L3 itself says of each monument: exact where the model alone allows a count.
MONUMENTS = "heritage_evidence"
# Said once of the whole object; parts differ only in their evidence.
_WORDS = ("roof_type", "era", "fabric", "sources", "rules", "choices")

Evidence = Mapping[str, Mapping[str, Any]]


def evidence_index(store: Store) -> Evidence:
    """oid of the city object -> how its L3 model is known; empty where there is no L3 model."""
    if not store.has("model", MODEL):
        return {}
    titles = _titles(store)
    found: dict[str, Mapping[str, Any]] = {}
    for _, solids in store.read_model(MODEL):
        found.update(_of_batch(solids, titles))
    if store.has("document", MONUMENTS):
        for oid, told in store.read_document(MONUMENTS).items():
            found[oid] = {**found.get(oid, {}), **_of_monument(told, titles)}
    return found


def evidence_of(here: Context) -> Evidence:
    """The evidence of what the store holds now."""
    items = [item for item in here.city.store.items() if item.name in (MODEL, SOURCES, MONUMENTS)]
    digest = " ".join(item.digest for item in items)
    return here.memo.get("evidence", digest, lambda: evidence_index(here.city.store))


def _of_batch(solids: Solids, titles: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    owner = solids.owner.astype(str)
    order = np.argsort(owner, kind="stable")
    names, first = np.unique(owner[order], return_index=True)
    rows = np.split(order, first[1:])
    return {str(name): _told(solids, part, titles) for name, part in zip(names, rows, strict=True)}


def _of_monument(told: Mapping[str, Any], titles: Mapping[str, str]) -> dict[str, Any]:
    found = {key: value for key, value in told.items() if key != "evidence"}
    if "sources" in found:
        found["sources"] = _spelt(str(found["sources"]), titles)
    parts: Mapping[str, str] = told.get("evidence", {})
    if parts:
        counts = Counter(parts.values())
        found |= {"parts": len(parts), "evidence": counts.most_common(1)[0][0], "evidence_of": dict(parts)}
        found["evidence_parts"] = dict(sorted(counts.items()))
    return found


def _spelt(sources: str, titles: Mapping[str, str]) -> str:
    return "; ".join(titles.get(word, word) for word in sources.replace(",", " ").split())


def _told(solids: Solids, rows: Any, titles: Mapping[str, str]) -> Mapping[str, Any]:
    attributes = solids.attributes
    told: dict[str, Any] = {"parts": len(rows)}
    for key in _WORDS:
        if key in attributes and attributes[key][rows[0]]:
            told[key] = str(attributes[key][rows[0]])
    if "sources" in told:
        told["sources"] = _spelt(told["sources"], titles)
    if "evidence" in attributes:
        counts = Counter(str(word) for word in attributes["evidence"][rows])
        told["evidence"] = counts.most_common(1)[0][0]
        told["evidence_parts"] = dict(sorted(counts.items()))
    for key, name in (("evidence_u", "uncertainty"), ("sigma_m", "sigma_m")):
        if key in attributes:
            told[name] = round(float(np.mean(attributes[key][rows])), 3)
    return told


def _titles(store: Store) -> Mapping[str, str]:
    if not store.has("document", SOURCES):
        return {}
    bibliography: Mapping[str, str] = store.read_document(SOURCES).get("bibliography", {})
    return bibliography
