"""What only the PostGIS store can break: the declaration in city.toml, connections, names of tables."""

from __future__ import annotations

import multiprocessing
import pickle
import zlib

import psycopg
import pytest

import twin
from tests.tiny import FRAME, LINEAGE, TOML, buildings, tiny_city
from twin import Layer, NotFoundError, OptionsError, StoreError, pipeline
from twin.store.postgis import PostgisStore
from twin.template import describe_city
from twin.workers import Workers


@pytest.fixture
def city(tmp_path, database, request):
    """A tiny city whose city.toml declares the database."""
    schema = f"town_{zlib.crc32(request.node.name.encode())}"
    toml = f'{TOML}\n[store]\nurl = "{database}"\nschema = "{schema}"\n'
    city = tiny_city(tmp_path, toml)
    yield city
    city.store.close()


def test_city_toml_names_the_database(city):
    assert isinstance(city.store, PostgisStore)
    assert len(city.buildings()) == 12
    sizes = {item["name"]: item["bytes"] for item in describe_city(city)["items"]}
    assert all(size > 0 for size in sizes.values())
    assert not list(city.root.rglob("*.gpkg")), "layers are tables, not files"


def test_the_recipe_runs_and_checks_on_the_database(city):
    for name in ("l2", "zones", "tiles"):
        (report,) = pipeline.run(city, Workers(1), only=[name])
        assert not report.count("failed")
        assert pipeline.run(city, Workers(1), only=[name]) == [], "up to date"
    catalogue = pipeline.check(city, Workers(1))[0]
    assert {(o.oid, o.status) for o in catalogue.outcomes} == {("ingest", "skipped"), ("l3", "skipped")}, (
        "only what has not run"
    )


def test_a_changed_row_is_found(city):
    with city.store.database.transaction() as connection:
        connection.execute("UPDATE building SET storeys = 99 WHERE oid = 'b03'")
    assert city.store.digest("layer", "building") != city.store.item("layer", "building").digest
    assert city.store.digest("layer", "road") == city.store.item("layer", "road").digest


def test_the_schema_comes_from_the_citys_id(tmp_path):
    toml = f'{TOML}\n[store]\nurl = "postgresql://nobody@localhost:1/none"\n'.replace('id = "tiny"', 'id = "Tiny-Town"')
    (tmp_path / "city.toml").write_text(toml, encoding="utf-8")
    assert twin.open(tmp_path).store.database.schema == "tiny_town"
    (tmp_path / "city.toml").write_text(toml.replace("Tiny-Town", "小城"), encoding="utf-8")
    with pytest.raises(OptionsError, match="schema"):
        twin.open(tmp_path)


def test_a_database_out_of_reach_is_named_without_its_password(tmp_path):
    store = PostgisStore("postgresql://ada:hush@localhost:1/towns", FRAME, tmp_path)
    with pytest.raises(StoreError, match=r"localhost/towns schema city: cannot be reached") as caught:
        store.items()
    assert "hush" not in str(caught.value)


def test_a_string_that_is_no_address_is_refused_without_repeating_it(tmp_path):
    store = PostgisStore("postgres:ada hush@towns", FRAME, tmp_path)
    with pytest.raises(OptionsError, match="no PostgreSQL connection string") as caught:
        store.items()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", ["twin_item", "x" * 51])
def test_names_of_the_stores_own_tables_are_refused(postgis_store, name):
    with pytest.raises(StoreError, match="is no name"):
        postgis_store.write_layer(name, buildings(), LINEAGE)


def test_columns_the_database_would_cut_short_are_refused(postgis_store):
    layer = Layer.build("building", FRAME, ["a"], [None], {"长" * 22: [1.0]})
    with pytest.raises(StoreError, match="at most 63 bytes"):
        postgis_store.write_layer("building", layer, LINEAGE)
    with pytest.raises(NotFoundError):
        postgis_store.read_layer("building")


def test_text_the_database_cannot_hold_is_an_error_and_changes_nothing(postgis_store):
    postgis_store.write_layer("building", buildings(), LINEAGE)
    with pytest.raises(StoreError, match="0x00"):
        postgis_store.write_layer("building", Layer.build("building", FRAME, ["a\0b"], [None]), LINEAGE)
    assert postgis_store.read_layer("building", oids=["a\0b", "b01"]).oid.tolist() == ["b01"]
    assert len(postgis_store.page_layer("building", equals={"name": "a\0b"})[0]) == 0


def test_a_lost_connection_is_opened_again(postgis_store, database):
    postgis_store.write_layer("building", buildings(), LINEAGE)
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert len(postgis_store.read_layer("building")) == 12


def test_a_store_travels_to_other_processes(postgis_store):
    postgis_store.write_layer("building", buildings(), LINEAGE)
    assert len(pickle.loads(pickle.dumps(postgis_store)).read_layer("building")) == 12
    with multiprocessing.get_context("fork").Pool(2) as pool:
        counts = pool.map(len, pool.map(postgis_store.read_layer, ["building"] * 4))
    assert counts == [12] * 4
    assert len(postgis_store.read_layer("building")) == 12


def test_a_layer_opens_in_other_programs(postgis_store, database):
    postgis_store.write_layer("building", buildings(), LINEAGE)
    schema = postgis_store.database.schema
    with psycopg.connect(database) as other:
        told = other.execute(
            "SELECT type, srid FROM geometry_columns WHERE f_table_schema = %s AND f_table_name = 'building'", [schema]
        ).fetchall()
        kinds = other.execute(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = 'building'", [schema]
        ).fetchall()
        left = other.execute("SELECT 1 FROM pg_tables WHERE tablename LIKE 'twin_load%'").fetchall()
    assert told == [("POLYGON", 4547)]
    assert sum("gist" in kind for (kind,) in kinds) == 1
    assert sum("UNIQUE" in kind for (kind,) in kinds) == 2
    assert left == []
