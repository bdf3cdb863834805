"""A PostgreSQL cluster of our own: made in a temporary folder, reached by a socket inside it, stopped at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SETTINGS = {"listen_addresses": "", "max_connections": "40", "shared_buffers": "128MB"}


def programs() -> Path | None:
    """The folder of initdb of the newest PostgreSQL that has PostGIS; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    with_postgis = [p for p in found if Path(f"/usr/share/postgresql/{p.parts[-3]}/extension/postgis.control").exists()]
    return with_postgis[-1].parent if with_postgis else None


@contextmanager
def private_cluster(binaries: Path, *, durable: bool = False) -> Iterator[str]:
    """URL of a database with PostGIS on a fresh cluster; PostgreSQL refuses root, so root lends it to `postgres`.

    durable  flush to disk at every commit, as a city would have it
    """
    import psycopg

    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    as_user = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    data = folder / "data"
    server = None
    try:
        if as_user:
            shutil.chown(folder, user)
        made = [binaries / "initdb", "-D", data, "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=folder, **as_user)
        chosen = {**SETTINGS, "fsync": "on" if durable else "off"}
        settings = [part for key, value in chosen.items() for part in ("-c", f"{key}={value}")]
        with (folder / "log").open("wb") as log:
            started = [binaries / "postgres", "-D", data, "-k", folder, *settings]
            server = subprocess.Popen(started, stdout=log, stderr=log, cwd=folder, **as_user)
        url = f"postgresql:///postgres?host={folder}&user={user}"
        _wait(url, server)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION postgis")
        yield url
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)
            server.wait(30)
        shutil.rmtree(folder)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    import psycopg

    until = time.monotonic() + 30.0
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.05)
