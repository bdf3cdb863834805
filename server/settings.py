"""What an operator may set about the server: read from `[server]` of `city.toml`, or passed in by the command line."""

from __future__ import annotations

from dataclasses import dataclass

from twin.options import option


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Options of the server; every field is declared once with default, unit, bounds and a sentence."""

    replay: bool = option(True, doc="Replay the stored day of observations and incidents as live events.")
    replay_speed: float = option(60.0, unit="s/s", min=0.01, max=100_000.0, doc="Seconds of the stored day per second.")
    replay_from: str = option("", doc="Local time HH:MM where the replay starts; empty is the scene's default time.")
    utc_offset: float = option(
        8.0, unit="h", min=-12.0, max=14.0, doc="Offset of local time from UTC where the view's time does not tell it."
    )
    scene_time: str = option(
        "2026-06-21T18:30:00+08:00", doc="Moment of the scene's light where the view's time does not tell it."
    )
    heartbeat: float = option(12.0, unit="s", min=0.01, max=15.0, doc="Longest silence on an event stream.")
    client_queue: int = option(512, min=2, max=100_000, doc="Events waiting per client before they are coalesced.")
    replay_window: int = option(20_000, min=1, max=1_000_000, doc="Events kept for clients that reconnect.")
    max_clients: int = option(1_000, min=1, max=100_000, doc="Event streams open at a time; more are answered 503.")
    cache_mib: float = option(256.0, unit="MiB", min=0.0, max=65_536.0, doc="Memory for bytes of tiles and viewer.")
    paint_threads: int = option(0, min=0, max=256, doc="Threads that paint orthophoto tiles; 0 is one for each core.")
    paint_waiting: int = option(
        256, min=1, max=100_000, doc="Orthophoto tiles being painted or waiting; more are answered 503."
    )
    paint_mib: float = option(64.0, unit="MiB", min=0.0, max=65_536.0, doc="Memory for painted orthophoto tiles.")
    max_items: int = option(10_000, min=1, max=100_000, doc="Largest page of a collection; larger limits are clamped.")
    max_body_mib: float = option(4.0, unit="MiB", min=0.001, max=1_024.0, doc="Largest request body.")
    max_jobs: int = option(64, min=1, max=10_000, doc="Process jobs remembered; the oldest finished one goes first.")
    max_waiting: int = option(8, min=1, max=1_000, doc="Process runs waiting or running; more are answered 503.")
    frame_ancestors: str = option("'self'", doc="Who may show the pages in a frame, as in Content-Security-Policy.")
    root_path: str = option("", doc="Path prefix under which a proxy that strips it publishes the server.")
    write_token: str = option("", doc="Bearer token for writes; empty accepts writes from this machine only.")
    viewer_dir: str = option("", doc="Folder of the built viewer; empty is the one shipped in the package.")
