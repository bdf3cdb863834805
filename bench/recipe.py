"""The recipe from source files to served tiles on the 25,000-building sample, whole and by stage."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.measure import TWIN, figure, median_of, run_process
from twin.pipeline import STAGES

SCALE = 25_000
RUNS = 3


def figures() -> Iterator[dict[str, Any]]:
    """Seconds of the sample, of every stage, and of all stages together (median of three runs)."""
    from ingest.sample import make_sample

    with tempfile.TemporaryDirectory() as folder:
        city = Path(folder) / "datong"
        seconds, peak = median_of(1, lambda: run_process([*TWIN, "demo", str(city), "--no-serve"]).seconds)[0], 0.0
        yield figure("demo_first_run", seconds, "s", n=SCALE)
        make_sample(city, scale=SCALE)
        total = 0.0
        for stage in STAGES:
            peaks: list[float] = []

            def once(name: str = stage.name, peaks: list[float] = peaks) -> float:
                ran = run_process([*TWIN, name, str(city), "--force"])
                peaks.append(ran.peak_mib)
                return ran.seconds

            middle, runs = median_of(RUNS, once)
            total += middle
            peak = max(peak, *peaks)
            yield figure(f"recipe_{stage.name}", middle, "s", n=SCALE, seconds=runs, peak_mib=round(max(peaks)))
        yield figure("recipe", total, "s", n=SCALE, peak_mib=round(peak), target="120 s on two cores")
        seconds, runs = median_of(RUNS, lambda: run_process([*TWIN, "run", str(city)]).seconds)
        yield figure("recipe_up_to_date", seconds, "s", n=SCALE, seconds=runs)


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
