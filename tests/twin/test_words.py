from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field

import pytest

from twin import Lineage, MissingInputError, OptionsError, Outcome, Report
from twin.options import as_table, describe_options, option, read_options
from twin.outcome import merge_reports
from twin.workers import Workers


@dataclass(frozen=True, slots=True)
class Inner:
    storey_height: float = option(3.0, unit="m", min=2.2, max=6.0, doc="Height of one storey.")


@dataclass(frozen=True, slots=True)
class Outer:
    name: str = option("a", doc="A word.", choices=("a", "b"))
    pairs: tuple = option(((1.0, 2.0),), doc="Pairs.")
    inner: Inner = field(default_factory=Inner)


def test_options_to_table_to_options_is_the_identity():
    options = read_options(Outer, {"name": "b", "inner": {"storey_height": 4}, "pairs": [[3.0, 4.0]]})
    assert options.inner.storey_height == 4.0
    assert read_options(Outer, as_table(options)) == options


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"nam": "a"}, "did you mean 'name'"),
        ({"name": "c"}, "none of a, b"),
        ({"inner": {"storey_height": 9.0}}, "above the largest allowed, 6.0 m"),
        ({"inner": {"storey_height": "high"}}, "expected float"),
        ({"inner": 3}, "expected a table"),
    ],
)
def test_a_wrong_option_is_named_with_its_remedy(table, message):
    with pytest.raises(OptionsError, match=message):
        read_options(Outer, table, "[l2]")


def test_nested_options_are_described_by_dotted_keys():
    assert [key for key, _, _ in describe_options(Outer, "l2")] == ["l2.name", "l2.pairs", "l2.inner.storey_height"]


def test_report_counts_what_went_well_and_what_did_not():
    report = Report("l2", 3, (Outcome("b", "failed", "x"), Outcome("a", "fallback", "y")))
    assert (report.count("done"), report.count("failed"), report.failed) == (3, 1, True)
    assert [row["oid"] for row in report.as_dict()["outcomes"]] == ["a", "b"]
    merged = merge_reports("all", [report, Report("x", 1, figures={"k": 2})])
    assert merged.count("done") == 4
    assert merged.figures == {"x.k": 2}


def test_an_outcome_knows_only_four_words():
    with pytest.raises(ValueError, match="none of"):
        Outcome("a", "broken", "x")


def test_lineage_survives_json_and_joins_without_repeats():
    first = Lineage("a", "CC0", "2020", 0.5).step("cut")
    assert Lineage.from_dict(first.as_dict()) == first
    unknown = Lineage.from_dict(Lineage("b").as_dict())
    assert math.isnan(unknown.accuracy)
    joined = Lineage.join([first, first, unknown], "merged")
    assert joined.source == "a; b"
    assert joined.accuracy == 0.5
    assert joined.steps == ("cut", "merged")


def _square(x: int) -> int:
    return x * x


def test_workers_keep_the_order_whatever_their_number():
    told = []
    with Workers(1, lambda *a: told.append(a)) as one, Workers(2) as two:
        expected = [x * x for x in range(20)]
        assert list(one.map(_square, range(20), "squares")) == expected
        assert list(two.map(_square, range(20))) == expected
    assert told[-1] == ("squares", 20, 20)


def test_a_cluster_without_its_library_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with Workers(1, dask="tcp://127.0.0.1:1") as cluster, pytest.raises(MissingInputError, match=r"pingcheng\[dask\]"):
        list(cluster.map(_square, range(3)))


def _fail(x: int) -> int:
    raise OptionsError(f"item {x}")


def test_an_error_in_a_worker_reaches_the_caller():
    with Workers(2) as two, pytest.raises(OptionsError, match="item 0"):
        list(two.map(_fail, range(3)))
