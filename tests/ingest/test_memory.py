"""What an ingest of features takes of memory: a fixed part, and so much a feature."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.ingest_footprints import CRS, footprints, write_city, write_source

PER_FEATURE = 2_560  # bytes, as ARCHITECTURE.md states
FEW, MANY = 40_000, 120_000
INGEST = """
import sys
from pathlib import Path
from ingest.run import IngestOptions, build
from twin.city import open_city
from twin.workers import Workers
build(open_city(sys.argv[1]), IngestOptions(), Workers(1))
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the kernel's account of memory")
def test_an_ingest_takes_no_more_memory_a_feature_than_is_stated(tmp_path):
    peaks = []
    for count in (FEW, MANY):
        source = tmp_path / f"{count}.gpkg"
        write_source(source, footprints(count), CRS)
        city = write_city(tmp_path / str(count), source, CRS)
        told = subprocess.run([sys.executable, "-c", INGEST, city], capture_output=True, text=True, check=True).stdout
        peaks.append(int(told))
    assert (peaks[1] - peaks[0]) / (MANY - FEW) < PER_FEATURE
