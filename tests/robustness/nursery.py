"""One process that has everything imported and forks for each case, so that a crash of a C library costs that case.

Reads one JSON line a case, {"folder": city, "argv": words of the command line}, and answers with one JSON line: exit
code (minus the signal where one ended it), peak of resident memory, what was printed.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import json
import os
import resource
import signal
import struct
import sys
import tempfile
import traceback
from pathlib import Path

CPU_SECONDS = 10
WALL_SECONDS = 120  # only for what waits without working; the machine may be busy
ADDRESS_SPACE = 3 * 2**30
UNTOLD = 70
CAPABILITY_V3 = 0x20080522  # linux/capability.h
LIBRARIES = (
    "ingest.run", "ingest.sources", "geopandas", "pyarrow.parquet", "pyarrow.ipc", "lazrs", "openpyxl", "twin.cli",
    "twin.store.cog", "twin.store.columnar", "twin.store.geopackage", "twin.store.live", "pyproj.sync", "pye57",
    "trimesh.exchange.load", "trimesh.visual.texture", "PIL.PngImagePlugin", "scipy.spatial",
)  # fmt: skip


def main() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    _warm()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_case(**json.loads(line))) + "\n")
        sys.stdout.flush()


def _warm() -> None:
    """One plain ingest here, so that no case pays for what is the same for all."""
    from tests.robustness.city import declare
    from twin.cli import main as twin

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        declare(Path(folder))
        twin(["ingest", folder, "--workers", "1"])


def _case(folder: str, argv: list[str]) -> dict[str, object]:
    said = [Path(folder) / ".stdout", Path(folder) / ".stderr"]
    child = os.fork()
    if not child:
        _live(folder, argv, said)
    _, status, usage = os.wait4(child, 0)
    words = [path.read_bytes()[-20_000:].decode(errors="replace") if path.exists() else "" for path in said]
    return {
        "code": os.waitstatus_to_exitcode(status),
        "peak_mib": usage.ru_maxrss // 1024,
        "seconds": usage.ru_utime + usage.ru_stime,
        "stdout": words[0],
        "stderr": words[1],
    }


def _live(folder: str, argv: list[str], said: list[Path]) -> None:
    """The child: bounded, its output in files, never returns."""
    code = UNTOLD
    try:
        for number, path in enumerate(said, start=1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(WALL_SECONDS)
        _plain_rights()
        from twin.cli import main as twin

        code = twin(argv)
        if code in (0, 1) and argv[0] == "ingest":
            _require_whole(Path(folder))
    except BaseException:  # noqa: BLE001 - whatever it is, the case must end here, and tell
        traceback.print_exc()
        code = UNTOLD
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _plain_rights() -> None:
    """Let go of the superuser's right to read what nobody may (capabilities DAC_OVERRIDE and DAC_READ_SEARCH)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = struct.pack("Ii", CAPABILITY_V3, 0), ctypes.create_string_buffer(24)
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    low = list(struct.unpack("6I", sets.raw))
    low[0] &= ~0b110
    if libc.capset(header, struct.pack("6I", *low)):
        raise OSError(ctypes.get_errno(), "capset")


def _require_whole(folder: Path) -> None:
    """Everything in the store opens, is what the catalogue says, and holds numbers of this globe only."""
    import numpy as np
    import shapely

    import twin

    city = twin.open(folder)
    for item in city.store.items():
        assert city.store.digest(item.kind, item.name) == item.digest, f"{item.kind} {item.name} differs"
        if item.kind == "layer":
            layer = city.layer(item.name)
            assert len(layer) == item.count
            assert np.isfinite(shapely.get_coordinates(layer.geometry)).all()
            assert shapely.is_valid(layer.geometry[~shapely.is_missing(layer.geometry)]).all()
        elif item.kind == "raster":
            values = city.raster(item.name).values
            assert not np.isinf(values).any()
        elif item.kind == "points":
            cloud = city.store.read_points(item.name)
            assert len(cloud) == item.count
            assert np.isfinite(cloud.xyz).all()
        elif item.kind == "model":
            for _, solids in city.store.read_model(item.name):
                assert np.isfinite(solids.vertices).all()
        elif item.kind == "document":
            city.store.read_document(item.name)
    left = folder / ".twin" / "scratch"
    assert not left.exists() or not any(left.iterdir()), "scratch files are left"


if __name__ == "__main__":
    main()
