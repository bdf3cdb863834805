"""Whatever is asked, the answer is never our fault and every refusal is a problem document."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.app import create_app
from server.settings import ServerSettings
from tests.server.asgi import client_of, raw

PATHS = (
    "/",
    "/city",
    "/collections",
    "/collections/buildings",
    "/collections/roads/items",
    "/collections/buildings/items",
    "/collections/buildings/queryables",
    "/collections/buildings/state",
    "/collections/buildings/items/b1",
    "/search",
    "/geocode",
    "/reverse",
    "/divisions",
    "/live/things",
    "/live/latest",
    "/incidents",
    "/processes",
    "/jobs",
    "/tiles/v1/l2/tileset.json",
)
NAMES = st.sampled_from(
    [
        "bbox",
        "limit",
        "after",
        "datetime",
        "properties",
        "name",
        "storeys",
        "q",
        "lang",
        "f",
        "theme",
        "ids",
        "severity",
    ]
)
VALUES = st.one_of(
    st.text(max_size=12),
    st.integers(-(10**20), 10**20).map(str),
    st.lists(st.floats(-400, 400), min_size=3, max_size=6).map(lambda v: ",".join(map(str, v))),
    st.sampled_from(
        ["", "0", "1e400", "nan", "鼓楼", "json", "zh", "flood", "name,height_m", "2026-06-21T00:00:00Z/.."]
    ),
)
HEADERS = st.dictionaries(
    st.sampled_from(["accept", "accept-encoding", "accept-language", "if-none-match", "range", "if-range"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    max_size=3,
)
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def fuzzed(small_city):
    return create_app(small_city, ServerSettings(replay=False))


def check(status: int, media: str) -> None:
    assert status < 500
    if status >= 400:
        assert media == "application/problem+json"


@SLOW
@given(path=st.sampled_from(PATHS), query=st.lists(st.tuples(NAMES, VALUES), max_size=3))
def test_no_query_is_answered_by_a_fault_of_ours(fuzzed, path, query):
    async def once():
        async with client_of(fuzzed) as client:
            return await client.get(path, params=query)

    answer = asyncio.run(once())
    check(answer.status_code, answer.headers.get("content-type", ""))


@SLOW
@given(path=st.sampled_from(PATHS), headers=HEADERS)
def test_no_header_is_answered_by_a_fault_of_ours(fuzzed, path, headers):
    answer = asyncio.run(raw(fuzzed, path, headers))
    check(answer.status, answer.headers.get("content-type", ""))


@SLOW
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["observations", "datastream", "time", "value", "inputs", "x"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    ),
    path=st.sampled_from(["/live/observations", "/processes/flood-zoning/execution"]),
)
def test_no_body_is_answered_by_a_fault_of_ours(fuzzed, body, path):
    async def once():
        async with client_of(fuzzed) as client:
            return await client.post(path, json=body)

    answer = asyncio.run(once())
    check(answer.status_code, answer.headers.get("content-type", ""))
