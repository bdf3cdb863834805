import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pyogrio
import pytest

from server.run import bind, make_server
from tests.conftest import absent
from twin.errors import OptionsError


@pytest.fixture
def served(small_city, settings):
    """A real server on a socket of its own, stopped as a signal stops it."""
    door = bind("127.0.0.1", 0)
    server = make_server(small_city, settings=settings(replay_speed=3600.0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield server, f"http://127.0.0.1:{door.getsockname()[1]}"
    finally:
        server.handle_exit(2, None)
        thread.join(20)
        assert not thread.is_alive()


def test_a_taken_port_is_told_before_anything_is_loaded():
    with bind("127.0.0.1", 0) as door:
        door.listen()
        port = door.getsockname()[1]
        with pytest.raises(OptionsError, match=f"127.0.0.1:{port} cannot be served"):
            bind("127.0.0.1", port)
    with pytest.raises(OptionsError, match="choose another"):
        bind("127.0.0.1", 70_000)


def test_over_a_socket_pages_tiles_and_errors_come_as_in_process(served):
    _, base = served
    with urllib.request.urlopen(f"{base}/city") as answer:
        scene = json.load(answer)
    with urllib.request.urlopen(base + scene["tilesets"][0]["url"]) as answer:
        assert "immutable" in answer.headers["cache-control"]
        assert json.load(answer)["asset"] == {"version": "1.1"}
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{base}/nowhere")
    assert refused.value.headers["content-type"] == "application/problem+json"
    refused.value.close()


def test_numbers_grow_across_restarts_and_streams_end_with_the_server(served):
    server, base = served
    with urllib.request.urlopen(f"{base}/live/events", timeout=10) as stream:
        line = b""
        while not line.startswith(b"id: "):
            line = stream.readline()
        assert int(line[4:]) > 1_700_000_000_000
        threading.Timer(0.1, lambda: server.handle_exit(2, None)).start()
        with contextlib.suppress(ConnectionError):
            while stream.readline():
                pass


def test_a_socket_is_free_again_after_the_server(served):
    _, base = served
    port = int(base.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


GDAL = """
import json, sys, pyogrio
source = "OAPIF:" + sys.argv[1]
box = (113.2999, 40.0899, 113.3006, 40.0905)
roads = pyogrio.read_dataframe(source, layer="roads", PAGE_SIZE=7)
near = pyogrio.read_dataframe(source, layer="buildings", bbox=box)
heritage = pyogrio.read_dataframe(source, layer="buildings", where="function = 'heritage'")
print(json.dumps([sorted(roads["oid"]), str(roads.crs), list(near["oid"]), list(heritage["name"])]))
"""


def test_gdal_reads_the_collections_as_a_client_of_the_standard(served):
    if "OAPIF" not in pyogrio.list_drivers():
        absent("GDAL's OAPIF driver")
    _, base = served
    # In a process of its own: the client holds the interpreter while it waits for the server.
    told = subprocess.run([sys.executable, "-c", GDAL, base], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    roads, crs, near, heritage = json.loads(told.stdout)
    assert roads == [f"r{k:02d}" for k in range(30)]
    assert crs == "EPSG:4326"
    assert near == ["b1"]
    assert heritage == ["鼓楼"]
