"""`python -m bench [NAME ...]`: run the named figures, or all, and print one JSON object a line."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys

import bench


def names() -> list[str]:
    """The figures there are."""
    return sorted(
        m.name for m in pkgutil.iter_modules(bench.__path__) if not m.name.startswith("_") and m.name != "measure"
    )


def main(wanted: list[str]) -> int:
    """Run and print; 2 for an unknown name."""
    unknown = [name for name in wanted if name not in names()]
    if unknown:
        print(f"bench: no figure {', '.join(unknown)}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    for name in wanted or names():
        figures = importlib.import_module(f"bench.{name}").figures()
        for figure in figures:
            print(json.dumps(figure, ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
