"""What can be wrong with a delivery, each under its quality element of ISO 19157-1, and the words readers say it in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.outcome import Outcome

STANDARD = "ISO 19157-1:2023"
SCHEMA = "pingcheng-quality/2"  # of the document; schema.json tells its shape
LISTED = 50  # features named of each finding; the count says how many there are
# Measures of ISO 19157:2013 annex D that are counted as the annex defines them: identifier and name.
ANNEX_D: Mapping[str, tuple[int, str]] = {
    "missing_features": (6, "number of missing items"),
    "surplus_features": (2, "number of excess items"),
    "repeated_feature": (4, "number of duplicate feature instances"),
    "overlap": (11, "number of invalid overlaps of surfaces"),
    "undershoot": (23, "number of missing connections due to undershoots"),
    "duplicate_id": (10, "number of items not compliant with the rules of the conceptual schema"),
    "out_of_range": (16, "number of items not in conformance with their value domain"),
    "out_of_domain": (16, "number of items not in conformance with their value domain"),
    "bad_coordinate": (19, "number of physical structure conflicts"),
    "not_a_number": (19, "number of physical structure conflicts"),
}
QUALITIES: Mapping[str, tuple[str, str]] = {
    "completeness": ("完整性", "Completeness"),
    "logical": ("逻辑一致性", "Logical consistency"),
    "positional": ("位置精度", "Positional accuracy"),
    "thematic": ("专题精度", "Thematic accuracy"),
    "temporal": ("时间质量", "Temporal quality"),
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is counted: the quality and element it belongs to, its name, and whether it is a fault at all."""

    quality: str
    element: str
    title: str
    title_en: str
    fault: bool = True


_OMISSION, _COMMISSION = ("completeness", "omission"), ("completeness", "commission")
_CONCEPT, _DOMAIN = ("logical", "conceptual consistency"), ("logical", "domain consistency")
_FORMAT, _TOPOLOGY = ("logical", "format consistency"), ("logical", "topological consistency")
_PLACE = ("positional", "absolute or external accuracy")
_CLASS, _AMOUNT = ("thematic", "classification correctness"), ("thematic", "quantitative attribute accuracy")
_MOMENT, _VALID, _ORDER = (
    ("temporal", "accuracy of a time measurement"),
    ("temporal", "temporal validity"),
    ("temporal", "temporal consistency"),
)

MEASURES: Mapping[str, Measure] = {
    "missing_features": Measure(*_OMISSION, "少于声明的数量", "fewer than declared"),
    "surplus_features": Measure(*_COMMISSION, "多于声明的数量", "more than declared"),
    "repeated_feature": Measure(*_COMMISSION, "重复交付的要素，已略去", "delivered twice, left out"),
    "no_place": Measure(*_OMISSION, "没有几何或坐标，已略去", "no geometry or coordinates, left out"),
    "no_id": Measure(*_OMISSION, "没有标识，已略去", "no identifier, left out"),
    "empty_source": Measure(*_OMISSION, "来源为空", "nothing in the source"),
    "zero_as_missing": Measure(*_OMISSION, "以零代缺的数值", "zero where the value is missing"),
    "no_height": Measure(*_OMISSION, "高度与层数皆缺", "neither height nor storeys"),
    "outside_ground": Measure(*_OMISSION, "位于地形数据之外", "outside the ground data"),
    "filled_cells": Measure(*_OMISSION, "空洞格网，已插补", "cells in holes, filled"),
    "empty_cells": Measure(*_OMISSION, "无值格网", "cells without a value"),
    "missing_values": Measure(*_OMISSION, "观测行缺值或缺时刻", "rows without value or time"),
    "invalid_geometry": Measure(*_TOPOLOGY, "无效几何（交付时）", "invalid geometries as delivered"),
    "repaired_geometry": Measure(*_TOPOLOGY, "其中已修复", "of these, repaired", fault=False),
    "collapsed_geometry": Measure(*_TOPOLOGY, "面积或长度为零，已略去", "no area or length, left out"),
    "duplicate_geometry": Measure(*_TOPOLOGY, "几何完全相同，标识不同", "same shape under another id"),
    "near_duplicate": Measure(*_TOPOLOGY, "与另一要素有八成以上重合", "over 80 % in common with another"),
    "overlap": Measure(*_TOPOLOGY, "与邻近要素重叠", "overlaps a neighbour"),
    "undershoot": Measure(*_TOPOLOGY, "端点差一点未相接", "ends just short of a line"),
    "duplicate_id": Measure(*_CONCEPT, "标识重复，已改名", "identifier repeats, renamed"),
    "shared_id": Measure(*_CONCEPT, "标识与另一来源相同，已改名", "identifier of another source, renamed", fault=False),
    "shared_place": Measure(
        *_CONCEPT, "无标识且与另一要素同址，按次序编号", "no identifier, at the place of another; numbered", fault=False
    ),
    "several_records": Measure(*_CONCEPT, "同一轮廓另有记录", "another record speaks for the outline", fault=False),
    "multi_part": Measure(*_CONCEPT, "多部件，已拆分", "several parts, split"),
    "no_target": Measure(*_CONCEPT, "指向的对象不存在", "refers to an object that is not there"),
    "out_of_range": Measure(*_DOMAIN, "数值超出合理范围，已置空", "out of range, set to missing"),
    "bad_coordinate": Measure(*_FORMAT, "坐标不是数，已略去", "coordinate is no number, left out"),
    "not_a_number": Measure(*_FORMAT, "应为数值而不是数", "text where a number belongs"),
    "other": Measure(*_FORMAT, "其他", "other"),
    "no_accuracy": Measure(*_PLACE, "未声明精度", "no accuracy declared"),
    "no_crs": Measure(*_PLACE, "未声明坐标系", "no CRS declared"),
    "out_of_domain": Measure(*_DOMAIN, "代码不在值域内", "codes outside the domain"),
    "function_unknown": Measure(*_CLASS, "用途不明", "use unknown"),
    "storeys_conflict": Measure(*_AMOUNT, "高度与层数矛盾", "height and storeys disagree"),
    "height_sources": Measure(*_AMOUNT, "与合并来源的高度不一致", "height differs from the merged source"),
    "storeys_sources": Measure(*_AMOUNT, "与合并来源的层数不一致", "storeys differ from the merged source"),
    "eaves_conflict": Measure(*_AMOUNT, "檐口高于屋顶", "eaves above the height"),
    "value_out_of_range": Measure(*_AMOUNT, "观测值超出量程", "values outside the sensor's range"),
    "no_date": Measure(*_VALID, "未声明日期", "no date declared"),
    "unreadable_time": Measure(*_MOMENT, "时刻无法读取", "times that cannot be read"),
    "time_repeated": Measure(*_ORDER, "同一序列时刻重复", "the same series and time again"),
    "time_gaps": Measure(*_ORDER, "时间缺口（处）", "gaps in time"),
    "time_missing": Measure(*_ORDER, "缺口中应有的观测", "observations missing in gaps"),
}

# The English half of an Outcome's reason -> what it counts as.
REASONS: tuple[tuple[str, str], ...] = (
    ("/ repeated feature", "repeated_feature"),
    ("repeats, renamed", "duplicate_id"),
    ("/ no id, and at the place of", "shared_place"),
    ("datastream repeats", "duplicate_id"),
    ("datastream without its Thing", "no_target"),
    ("/ no geometry", "no_place"),
    ("without time or place", "no_place"),
    ("fewer than two fixes", "collapsed_geometry"),
    ("/ no coordinates", "no_place"),
    ("/ no oid", "no_id"),
    ("coordinate is no number", "bad_coordinate"),
    ("/ repaired:", "repaired_geometry"),
    ("split into its parts", "multi_part"),
    ("no area or line left", "collapsed_geometry"),
    ("zero area or length", "collapsed_geometry"),
    ("out of range", "out_of_range"),
    ("severity is none of", "out_of_range"),
    ("time cannot be read", "unreadable_time"),
    ("no division of that code", "no_target"),
    ("footprint outside", "outside_ground"),
    ("/ heights of two sources differ", "height_sources"),
    ("/ storeys of two sources differ", "storeys_sources"),
    ("another record speaks", "several_records"),
)
# A reader's warning -> what it counts as; `n` is the count (1 where it has none), `key` what it is about.
WARNINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"(?P<key>.*column \w+): (?P<n>\d+) values set to", "out_of_domain"),
        (r"(?P<key>.*column \w+): (?P<n>\d+) values are not in its table", "out_of_domain"),
        (r"(?P<key>.*column \w+): (?P<n>\d+) values are no number", "not_a_number"),
        (r"(?P<key>.*column \w+): (?P<n>\d+) zeros taken as missing", "zero_as_missing"),
        (r"(?P<key>.*): points without an id at the place of another: (?P<n>\d+)", "shared_place"),
        (r"(?P<key>.*): (?P<n>\d+) times cannot be read", "unreadable_time"),
        (r"(?P<key>.*): (?P<n>\d+) cells like .* lie outside", "out_of_range"),
        (r"(?P<key>.*): the (layer is empty|cloud has no point)", "empty_source"),
    )
)

NOWHERE = np.zeros((0, 2))


@dataclass(frozen=True, slots=True)
class Finding:
    """One measure of one source.

    of          how many items were looked at; 0 where that has no meaning
    xy          (k, 2) f8 where the items are, frame m; k may be less than count, where items have no place
    examples    a few of the items by name
    """

    code: str
    count: int
    of: int = 0
    xy: NDArray[np.float64] = field(default_factory=lambda: NOWHERE)
    examples: tuple[str, ...] = ()


def code_of(reason: str) -> str:
    """The measure a reason counts towards; "other" where no line of REASONS says."""
    return next((code for part, code in REASONS if part in reason), "other")


def sort_outcomes(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Outcomes by the measure they count towards."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(code_of(outcome.reason), []).append(outcome)
    return found


def sort_warnings(lines: Iterable[str]) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Measure -> (count, the lines); a value that two lines of one column speak of counts once."""
    counts: dict[str, dict[str, int]] = {}
    said: dict[str, list[str]] = {}
    for line in lines:
        for pattern, code in WARNINGS:
            match = pattern.match(line)
            if match:
                n = int(match.groupdict().get("n") or 1)
                keys = counts.setdefault(code, {})
                keys[match["key"]] = max(n, keys.get(match["key"], 0))
                said.setdefault(code, []).append(line)
                break
    return {code: (sum(keys.values()), tuple(said[code])) for code, keys in counts.items()}
