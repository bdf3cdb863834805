import asyncio

import pytest

from server import errors
from server.app import create_app
from server.run import prefix_of
from tests.server.asgi import ask, raw
from twin.errors import FrameMismatchError, GeometryError, MissingInputError, NotFoundError, StoreError


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "status"),
    [
        ("GET", "/nowhere", {}, 404),
        ("GET", "/collections/", {}, 404),
        ("GET", "/tiles/v1/none.glb", {}, 404),
        ("GET", "/collections/castles/items", {}, 404),
        ("GET", "/processes/alchemy", {}, 404),
        ("GET", "/jobs/none", {}, 404),
        ("DELETE", "/collections", {}, 405),
        ("POST", "/city", {}, 405),
        ("GET", "/collections?colour=red", {}, 400),
        ("GET", "/healthz?x=1", {}, 400),
        ("GET", "/search?q=a&limit=1000", {}, 400),
        ("GET", "/live/events?topics=gossip", {}, 400),
        ("GET", "/live/events", {"headers": {"Last-Event-ID": "yesterday"}}, 400),
        ("GET", "/collections", {"headers": {"Accept": "image/png"}}, 406),
        ("GET", "/", {"headers": {"Accept": "image/png"}}, 406),
        ("POST", "/live/observations", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/live/observations", {"json": {"datastream": "s1"}}, 422),
        ("POST", "/live/observations", {"json": {"datastream": "zz", "time": 0, "value": 1}}, 422),
        ("POST", "/live/observations", {"json": {"datastream": "s1", "time": "noon", "value": 1}}, 422),
        ("POST", "/live/observations", {"json": {"datastream": "s1", "time": 0, "value": 1, "x": 2}}, 422),
        ("POST", "/live/observations", {"json": {"observations": []}}, 422),
        (
            "POST",
            "/live/observations",
            {"content": b"x" * (5 << 20), "headers": {"Content-Type": "application/json"}},
            413,
        ),
        ("POST", "/processes/flood-zoning/execution", {"json": {"inputs": [1]}}, 422),
        ("POST", "/live/observations", {"content": b"{}", "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", "/live/observations", {"content": b"{}"}, 415),
        ("POST", "/processes/alchemy/execution", {"json": {"inputs": {}}}, 404),
    ],
)
def test_every_error_is_a_problem_document(app, method, path, kwargs, status):
    answer = ask(app, path, method, **kwargs)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["title"]
    assert told["detail"]
    assert told["instance"] == path.split("?")[0]
    assert told["type"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("x"), 404),
        (errors.NoSuchJobError("x"), 404),
        (FrameMismatchError("x"), 422),
        (MissingInputError("x"), 409),
        (StoreError("x"), 503),
        (GeometryError("x"), 500),
        (errors.BusyError("x"), 503),
    ],
)
def test_the_nearest_class_in_the_table_decides_the_status(error, status):
    assert errors.status_of(error) == status


def test_a_fault_of_ours_tells_nothing_of_the_inside(app, monkeypatch):
    def fail(*_):
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr("server.live.desk.Desk.incident", fail)
    answer = ask(app, "/incidents")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text


def test_a_fault_in_a_body_is_told_by_json_pointer(app):
    rows = [{"datastream": "s1", "time": 0, "value": 1}, {"datastream": "nobody", "time": 0, "value": 1}]
    answer = ask(app, "/live/observations", "POST", json={"observations": rows})
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/observations/1/datastream"]


def test_processes_keep_their_exception_types(app):
    assert ask(app, "/processes/alchemy").json()["type"].endswith("/no-such-process")
    assert ask(app, "/jobs/none").json()["type"].endswith("/no-such-job")


def test_405_names_the_methods_that_are_allowed(app):
    assert ask(app, "/jobs/x", "PUT").headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "path",
    ["/", "/city", "/collections", "/collections/roads/items", "/live/latest", "/live/events", "/docs", "/metrics"],
)
def test_head_and_options_are_answered_on_everything_that_can_be_read(app, path):
    head = asyncio.run(asyncio.wait_for(raw(app, path, method="HEAD"), 5))
    assert (head.status, head.body) == (200, b"")
    options = asyncio.run(raw(app, path, method="OPTIONS"))
    assert options.status == 204
    assert "GET" in options.headers["allow"]
    assert options.headers["access-control-allow-origin"] == "*"


def test_every_answer_carries_the_security_headers(app):
    for path in ("/", "/collections", "/nowhere", "/city", "/docs", "/?f=html"):
        headers = ask(app, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src" in headers["content-security-policy"]
        assert headers["access-control-allow-origin"] == "*"


def test_the_viewer_is_served_under_a_strict_policy(small_city, settings, tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "app.js").write_text("1")
    app = create_app(small_city, settings(viewer_dir=str(tmp_path)))
    page = ask(app, "/viewer/")
    policy = page.headers["content-security-policy"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy
    assert "frame-ancestors 'self'" in policy
    assert ask(app, "/viewer/app.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert ask(app, "/viewer").headers["location"] == "/viewer/"


def test_writing_needs_the_token_where_one_is_set(own_city, settings):
    row = {"datastream": "s1", "time": "2026-06-22T08:00:00+08:00", "value": 1.0}
    app = create_app(own_city, settings(write_token="open sesame"))
    assert ask(app, "/live/observations", "POST", json=row).status_code == 403
    wrong = {"Authorization": "Bearer nothing"}
    assert ask(app, "/live/observations", "POST", json=row, headers=wrong).status_code == 403
    right = {"Authorization": "Bearer open sesame"}
    assert ask(app, "/live/observations", "POST", json=row, headers=right).status_code == 201


def test_behind_a_proxys_prefix_everything_answers_and_links_carry_it(app):
    scene = ask(app, "/dt/city", root_path="/dt")
    assert scene.status_code == 200
    assert ask(app, "/dt/tiles/v1/l2/tileset.json", root_path="/dt").status_code == 200
    assert ask(app, "/dt/viewer", root_path="/dt").headers["location"] == "/dt/viewer/"
    listed = ask(app, "/dt/collections", root_path="/dt").json()
    assert listed["links"][0]["href"] == "http://twin.test/dt/collections"
    assert ask(app, "/dt/jobs/x", "PUT", root_path="/dt").headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


@pytest.mark.parametrize(("given", "prefix"), [("", ""), ("/", ""), ("dt", "/dt"), ("/dt/", "/dt"), ("/a/b", "/a/b")])
def test_a_prefix_is_written_as_the_server_wants_it(given, prefix):
    assert prefix_of(given) == prefix
