"""Everything in a city that words can name, made ready once: addresses by road, buildings and divisions by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.analysis.address_words import LEVELS, Address, PlaceNames, parse_all, tidy
from twin.analysis.divisions import in_force
from twin.features import Layer, Objects, objects
from twin.frames import Frame

Rows = NDArray[np.intp]

# Traditional characters that stand in names of roads and places, for comparison only.
_TRADITIONAL = str.maketrans(
    "東門臺廣場華國慶節學業義禮樂園麗環綠興進豐寧陽陰應車馬鳥魚龍鳳龜頭領風雲電氣雙橋橫縱邊過還遠連運達選遷廟廳"
    "聖賢親觀覺視規記計設許訪訓診試話語課談請論謝證識議護讀變讓貝負財貢貨貴買費賀資賓賣質賽贊輪輕載輝農鐵銀銅錄錦"
    "鍾鎖長閘間開關閣陳陸隊階隨險難雜離電靈靜韓順頂項須預顏題願類顧飛飯館騰驛體黃齊齋龐學實寫寬將專對導島嶺幣師帶幹"
    "庫廠彎彙後徑從恆惠愛憲懷戰戲戶歡歲歷歸殺氣汙漢滿濱灣煉煙熱燈爐爺獎獨獲獻瑪環產畢當療盡監盤硯確碼禮禪種積稱穀穩"
    "窯競筆節築簡糧紀純紅納紡紙級細終組結給統絲經維網緊線練縣總績繁織繞繼續羅羣義習聯聖聞聲職聽肅臨舉舊藝節莊葉蓋蓮蔣"
    "藍藥蘇蘭處虛蟲衛裝補製複見訂",
    "东门台广场华国庆节学业义礼乐园丽环绿兴进丰宁阳阴应车马鸟鱼龙凤龟头领风云电气双桥横纵边过还远连运达选迁庙厅"
    "圣贤亲观觉视规记计设许访训诊试话语课谈请论谢证识议护读变让贝负财贡货贵买费贺资宾卖质赛赞轮轻载辉农铁银铜录锦"
    "钟锁长闸间开关阁陈陆队阶随险难杂离电灵静韩顺顶项须预颜题愿类顾飞饭馆腾驿体黄齐斋庞学实写宽将专对导岛岭币师带干"
    "库厂弯汇后径从恒惠爱宪怀战戏户欢岁历归杀气污汉满滨湾炼烟热灯炉爷奖独获献玛环产毕当疗尽监盘砚确码礼禅种积称谷稳"
    "窑竞笔节筑简粮纪纯红纳纺纸级细终组结给统丝经维网紧线练县总绩繁织绕继续罗群义习联圣闻声职听肃临举旧艺节庄叶盖莲蒋"
    "蓝药苏兰处虚虫卫装补制复见订",
)
_SUFFIX = re.compile(r"(?:大街|大道|公路|道路|胡同|路|街|巷|里|弄|道)$")
_SHORTEST_WITH_TYPO = 3


@dataclass(frozen=True, slots=True)
class Entries:
    """Addresses, then addresses that only a building gives, as columns of n rows.

    xy          (n, 2) f8 frame, m
    number, house, place, district, city, province      (n,) folded words as the text says them, "" not said
    inside      (n,) district that the place lies in today, "" unknown
    """

    oid: Objects
    kind: Objects
    text: Objects
    building: Objects
    xy: NDArray[np.float64]
    words: Mapping[str, Objects]

    def __len__(self) -> int:
        return len(self.oid)


@dataclass(frozen=True, slots=True)
class Spelling:
    """Words that can be looked up as written, without their suffix, or with one character wrong.

    ids     word -> its number        near    word without suffix, or with one character left out -> numbers
    """

    words: tuple[str, ...]
    ids: Mapping[str, int]
    near: Mapping[str, tuple[int, ...]]

    @staticmethod
    def of(words: Iterable[str]) -> Spelling:
        """The table of distinct words."""
        listed = tuple(sorted(set(words) - {""}))
        near: dict[str, list[int]] = {}
        for number, word in enumerate(listed):
            for other in {bare(word), *_shorter(word)} - {word, ""}:
                near.setdefault(other, []).append(number)
        return Spelling(
            listed, {word: k for k, word in enumerate(listed)}, {word: tuple(found) for word, found in near.items()}
        )

    def find(self, word: str) -> list[tuple[int, str]]:
        """(number, how) of the words that `word` may mean: "" as written; else "suffix" or "typo", the surer alone."""
        if word in self.ids:
            return [(self.ids[word], "")]
        around = {self.ids[other] for other in (bare(word), *_shorter(word)) if other in self.ids}
        around.update(number for other in (word, bare(word), *_shorter(word)) for number in self.near.get(other, ()))
        found = sorted((number, _how(word, self.words[number])) for number in around)
        sure = [pair for pair in found if pair[1] == "suffix"]
        return sure or [pair for pair in found if pair[1] == "typo"]


def fold(text: str) -> str:
    """`text` as names are compared: tidy, small letters, simplified characters."""
    return tidy(text).casefold().translate(_TRADITIONAL)


def bare(word: str) -> str:
    """A road without the word for road; the word itself where one character would be left."""
    cut = _SUFFIX.sub("", word)
    return cut if len(cut) > 1 else word


def _shorter(word: str) -> list[str]:
    return [word[:k] + word[k + 1 :] for k in range(len(word))] if len(word) >= _SHORTEST_WITH_TYPO else []


def _how(asked: str, known: str) -> str:
    if bare(asked) == bare(known) and (asked == bare(asked) or known == bare(known)):
        return "suffix"
    return "typo" if min(len(asked), len(known)) >= _SHORTEST_WITH_TYPO - 1 and _one_off(asked, known) else ""


def _one_off(one: str, other: str) -> bool:
    """True where one character is wrong, missing, too many, or two neighbours are exchanged."""
    if abs(len(one) - len(other)) > 1 or max(len(one), len(other)) < _SHORTEST_WITH_TYPO:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    if len(a) == len(b):
        return a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
    return a[1:] == b or a == b[1:]


@dataclass(frozen=True, slots=True)
class Places:
    """What words can name in a city, ready to be asked; made once for a state of the store.

    keys        roads, and names of compounds, that addresses are found by
    rows, start rows of `entries` by key: those of key k are rows[start[k]:start[k + 1]]
    names       names of buildings; `named` gives their rows in `buildings`
    heirs       name of an old division -> names of its successors in force
    """

    frame: Frame
    entries: Entries
    keys: Spelling
    rows: Rows
    start: Rows
    buildings: Layer
    names: Spelling
    named: Mapping[int, tuple[int, ...]]
    divisions: Layer
    known: PlaceNames
    heirs: Mapping[str, frozenset[str]]
    trees: Mapping[str, shapely.STRtree]

    def of_key(self, number: int) -> Rows:
        """Rows of the entries of one key."""
        return self.rows[self.start[number] : self.start[number + 1]]


def places(
    addresses: Layer, buildings: Layer, divisions: Layer, succession: Sequence[Mapping[str, Any]] = (),
    roads: Iterable[str] = (),
) -> Places:  # fmt: skip
    """The index over a city's addresses, buildings and divisions.

    succession  rows of `City.succession`: addresses in an old division are looked for in its successors
    roads       names of roads beside those that addresses mention
    """
    current = in_force(divisions, "")
    heirs: dict[str, set[str]] = {}
    for row in succession:
        heirs.setdefault(fold(row["old_name"]), set()).add(fold(row["new_name"]))
    known = _known(divisions, {str(word) for word in roads} | set(addresses.column("road").tolist()))
    entries, said = _entries(addresses, buildings, current, known)
    keys, rows, start = _by_key(said)
    shown = np.flatnonzero(buildings.column("name") != "")
    called = [fold(str(word)) for word in buildings.column("name")[shown].tolist()]
    names = Spelling.of(called)
    named: dict[int, list[int]] = {}
    for place, word in zip(shown.tolist(), called, strict=True):
        if word:
            named.setdefault(names.ids[word], []).append(place)
    placed = ~shapely.is_missing(current.geometry)
    trees = {
        "address": shapely.STRtree(shapely.points(entries.xy)),
        "building": shapely.STRtree(buildings.geometry),
        "division": shapely.STRtree(current.geometry[placed]),
    }
    kept = ("name", "name_en") if "name_en" in buildings.columns else ("name",)
    return Places(
        addresses.frame, entries, keys, rows, start,
        replace(buildings, columns={key: buildings.columns[key] for key in kept}), names,
        {number: tuple(found) for number, found in named.items()}, current.select(placed), known,
        {word: frozenset(found) for word, found in heirs.items()}, trees,
    )  # fmt: skip


def _known(divisions: Layer, roads: Iterable[str]) -> PlaceNames:
    names: dict[str, list[str]] = {level: [] for level in LEVELS}
    for name, level in zip(divisions.column("name"), divisions.column("division_level"), strict=True):
        names.setdefault(str(level) or "district", []).append(str(name))
    return PlaceNames.of({level: found for level, found in names.items() if level in LEVELS} | {"road": list(roads)})


def _entries(addresses: Layer, buildings: Layer, current: Layer, known: PlaceNames) -> tuple[Entries, list[Address]]:
    placed = np.flatnonzero(~shapely.is_missing(addresses.geometry) & (addresses.column("text") != ""))
    have = np.isin(buildings.oid.astype(str), addresses.column("building_oid")[placed].astype(str))
    more = np.flatnonzero((buildings.column("address") != "") & ~have)
    text = np.concatenate([addresses.column("text")[placed], buildings.column("address")[more]])
    shapes = np.concatenate(
        [shapely.centroid(addresses.geometry[placed]), shapely.point_on_surface(buildings.geometry[more])]
    )
    said = parse_all(text.tolist(), known)
    xy = shapely.get_coordinates(shapes)
    words = {key: objects([fold(getattr(one, name)) for one in said]) for key, name in _WORDS.items()}
    words["number"] = objects([word.replace("之", "-") for word in words["number"].tolist()])
    words["inside"] = _inside(xy, current)
    return Entries(
        np.concatenate([addresses.oid[placed], buildings.oid[more]]),
        objects(["address"] * len(placed) + ["building"] * len(more)),
        text,
        np.concatenate([addresses.column("building_oid")[placed], buildings.oid[more]]),
        xy,
        words,
    ), said  # fmt: skip


_WORDS = {"number": "number", "house": "building", "place": "place", "district": "district", "city": "city",
          "province": "province"}  # fmt: skip


def _inside(xy: NDArray[np.float64], current: Layer) -> Objects:
    """(n,) folded name of the district that each place lies in today, "" where no polygon knows."""
    rows = np.flatnonzero((current.column("division_level") == "district") & ~shapely.is_missing(current.geometry))
    found = objects([""] * len(xy))
    if len(rows) and len(xy):
        point, district = shapely.STRtree(current.geometry[rows]).query(shapely.points(xy), predicate="intersects")
        names = objects([fold(str(word)) for word in current.column("name")[rows].tolist()])
        found[point[::-1]] = names[district[::-1]]
    return found


def _by_key(said: Sequence[Address]) -> tuple[Spelling, Rows, Rows]:
    roads = [fold(one.road) for one in said]
    compounds = [fold(one.place or one.community) for one in said]
    keys = Spelling.of({*roads, *compounds})
    pairs = [(keys.ids[word], row) for words in (roads, compounds) for row, word in enumerate(words) if word]
    table = np.array(sorted(set(pairs)), dtype=np.intp).reshape(-1, 2)
    return keys, table[:, 1], np.searchsorted(table[:, 0], np.arange(len(keys.words) + 1))
