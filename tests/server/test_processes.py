import asyncio
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from server.app import context_of, create_app
from server.errors import BusyError
from server.runs.jobs import JobBoard
from tests.server.asgi import ask, client_of
from twin.errors import OptionsError

PATH = "/processes/flood-zoning/execution"


def zoned(level):
    return SimpleNamespace(levels_by_oid=lambda: level)


@pytest.fixture
def runs(monkeypatch):
    """A zoning that answers at once, so that these tests are about the door and not about water."""
    told = []

    def run_flood(scene, inputs):
        told.append((scene, inputs))
        if inputs.get("rain_mm", 0) > 1000:
            raise OptionsError("inputs.rain_mm: above the largest allowed, 1000 mm")
        return SimpleNamespace(
            buildings=zoned({"b1": 5, "b2": 0}),
            streets=zoned({"r00@0": 3}),
            summary={"zh": "有水", "en": "wet"},
            figures={"people": np.float64(3.5), "rain_mm": float("nan")},
        )

    monkeypatch.setattr("server.runs.zoning.build.zone_scene", lambda city: f"scene of {city.id}")
    monkeypatch.setattr("server.runs.zoning.build.run_flood", run_flood)
    return told


def test_the_process_is_listed_and_described(app):
    listed = ask(app, "/processes").json()["processes"]
    assert [p["id"] for p in listed] == ["flood-zoning"]
    described = ask(app, "/processes/flood-zoning").json()
    assert described["inputs"]["rain_mm"]["schema"] == {
        "type": "number",
        "minimum": 0.0,
        "maximum": 1000.0,
        "x-ogc-uom": "mm",
    }
    assert described["inputs"]["people"]["schema"]["enum"] == ["day", "night", "larger"]
    assert set(described["outputs"]) == {"levels", "streets", "summary", "figures"}
    assert {"sync-execute", "async-execute", "dismiss"} == set(described["jobControlOptions"])


def test_a_run_answers_with_levels_words_and_figures(app, runs):
    answer = ask(app, PATH, "POST", json={"inputs": {"rain_mm": 120}})
    assert answer.status_code == 200
    assert answer.json() == {
        "levels": {"b1": 5, "b2": 0},
        "streets": {"r00@0": 3},
        "summary": {"zh": "有水", "en": "wet"},
        "figures": {"people": 3.5, "rain_mm": None},
    }
    assert runs == [("scene of small", {"rain_mm": 120})]
    assert ask(app, "/jobs").json()["jobs"] == []


def test_an_input_out_of_range_is_the_callers_fault(app, runs):
    answer = ask(app, PATH, "POST", json={"inputs": {"rain_mm": 5000}})
    assert answer.status_code == 422
    assert "1000 mm" in answer.json()["detail"]


def test_the_scene_is_made_ready_once(app, runs, monkeypatch):
    made = []
    monkeypatch.setattr("server.runs.zoning.build.zone_scene", lambda city: made.append(1))
    for _ in range(3):
        assert ask(app, PATH, "POST", json={"inputs": {}}).status_code == 200
    assert made == [1]


def test_a_city_without_relief_says_which_stage_is_missing(app):
    answer = ask(app, PATH, "POST", json={"inputs": {}})
    assert answer.status_code == 409
    assert "relief" in answer.json()["detail"]


def test_a_job_is_followed_to_its_result_and_dismissed(app, runs):
    begun = ask(app, PATH, "POST", json={"inputs": {"rain_mm": 80}}, headers={"Prefer": "respond-async"})
    assert begun.status_code == 201
    assert begun.headers["preference-applied"] == "respond-async"
    location = begun.headers["location"]
    deadline = time.monotonic() + 5
    while (status := ask(app, location).json())["status"] != "successful":
        assert status["status"] in ("accepted", "running")
        assert time.monotonic() < deadline
    results = next(link["href"] for link in status["links"] if link["rel"].endswith("/results"))
    assert ask(app, results).json()["levels"] == {"b1": 5, "b2": 0}
    assert [job["jobID"] for job in ask(app, "/jobs").json()["jobs"]] == [status["jobID"]]
    assert ask(app, location, "DELETE").json()["status"] == "dismissed"
    gone = ask(app, location)
    assert gone.status_code == 404
    assert gone.json()["type"].endswith("no-such-job")


def test_a_failed_job_tells_why(app, runs):
    begun = ask(app, PATH, "POST", json={"inputs": {"rain_mm": 5000}}, headers={"Prefer": "respond-async, wait=1"})
    location = begun.headers["location"]
    deadline = time.monotonic() + 5
    while (status := ask(app, location).json())["status"] != "failed":
        assert time.monotonic() < deadline
    assert "1000 mm" in status["message"]
    assert ask(app, location + "/results").status_code == 422


def test_runs_beyond_the_queue_are_asked_to_come_later():
    board, gate = JobBoard(most=3, waiting=2), threading.Event()
    first = board.start("p", lambda: gate.wait(5) and {"ok": 1})
    waiting = board.start("p", dict)
    with pytest.raises(BusyError):
        board.start("p", dict)
    assert board.dismiss(waiting.id).status == "dismissed"
    gate.set()
    assert first.future.result(5) == {"ok": 1}
    for _ in range(10):
        board.start("p", dict).future.result(5)
    assert len(board.jobs()) <= 3
    board.close()


def test_the_loop_goes_on_while_a_run_works(small_city, settings, monkeypatch):
    app, gate = create_app(small_city, settings()), threading.Event()
    nothing = SimpleNamespace(buildings=zoned({}), streets=zoned({}), summary={}, figures={})
    monkeypatch.setattr("server.runs.zoning.build.zone_scene", lambda city: gate.wait(10))
    monkeypatch.setattr("server.runs.zoning.build.run_flood", lambda scene, inputs: nothing)

    async def both():
        async with client_of(app) as client:
            run = asyncio.create_task(client.post(PATH, json={"inputs": {}}))
            await asyncio.sleep(0.05)
            health = await client.get("/healthz")
            gate.set()
            await run
            return health, context_of(app).jobs.jobs()

    health, left = asyncio.run(both())
    assert health.status_code == 200
    assert left == []
