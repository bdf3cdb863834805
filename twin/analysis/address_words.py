"""Chinese addresses taken apart into their levels and put together again, by suffixes and by known names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields

# Only the characters that end a level are brought to one form: names stay as they are written.
_FORMS = str.maketrans("號縣區鄉鎮樓棟單臺盧衚衕層", "号县区乡镇楼栋单台卢胡同层")
_NOISE = re.compile(r"[\s,，、;；。]+")
_DIGITS = {c: k for k, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2, "兩": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
_NUMERALS = "〇零一二三四五六七八九十百千两兩"
_NUMERAL = re.compile(
    rf"[{_NUMERALS}]+(?=号|栋|幢|单元|室|层|附)|(?<=[号\d][之附])[{_NUMERALS}]+|(?<=[路街道])[{_NUMERALS}]+(?=段)"
    rf"|(?<=[路街道段巷])[{_NUMERALS}]+(?=巷\d|弄)"
)
# 12号之3, 12号附3号, 12号甲: what belongs to the number stands before its 号.
_BEHIND = re.compile(r"(\d+)号(?:([之附]\d+)号?|([甲乙丙丁])(?![座栋幢楼级]))")


@dataclass(frozen=True, slots=True)
class Address:
    """One address by level, each "" where it is not said.

    province..community   with their suffixes: 山西省, 大同市, 平城区, 西街街道, 灯塔社区
    road                  with section, lane, alley and row: 光復路2段194巷
    number                without 号 (19, 16-1, 12之3, 26附1, 甲12); a compound keeps its word (18号院)
    place                 name between number and building: 阳光小区, 鼓楼
    building, unit        3号楼, 21号院, A座; 2单元
    floor, room           15层; 501室
    rest                  what nothing claims
    """

    province: str = ""
    city: str = ""
    district: str = ""
    street: str = ""
    community: str = ""
    road: str = ""
    number: str = ""
    place: str = ""
    building: str = ""
    unit: str = ""
    floor: str = ""
    room: str = ""
    rest: str = ""


@dataclass(frozen=True, slots=True)
class PlaceNames:
    """Names that are known in a city, by level; they decide where suffixes leave two readings.

    full    level -> names with their suffix (平城区, 南街街道, 永泰街)
    short   level -> {name without its suffix: the full name} (平城 -> 平城区)
    """

    full: Mapping[str, frozenset[str]] = field(default_factory=dict)
    short: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @staticmethod
    def of(names: Mapping[str, Iterable[str]]) -> PlaceNames:
        """The table of some names by level (province, city, district, street, community, road)."""
        full = {level: frozenset(tidy(name) for name in words if name) for level, words in names.items()}
        short = {}
        for level, words in full.items():
            cut = sorted((_bare(level, word), word) for word in words)
            short[level] = {bare: word for bare, word in cut if len(bare) > 1 and bare != word}
        return PlaceNames(full, short)

    def longest(self, level: str, text: str) -> str:
        """The longest known name of a level that `text` begins with, "" none."""
        return _longest(self.full.get(level, frozenset()), text)

    def shortened(self, level: str, text: str) -> str:
        """The longest name without suffix that `text` begins with, "" none."""
        return _longest(self.short.get(level, {}), text)


def _longest(words: frozenset[str] | Mapping[str, str], text: str) -> str:
    return next((text[:n] for n in range(min(len(text), _LONGEST), 1, -1) if text[:n] in words), "")


_LONGEST = 16
_SUFFIXES = {
    "province": ("自治区", "特别行政区", "省"),
    "city": ("自治州", "地区", "盟", "市"),
    "district": ("自治县", "区", "县", "旗", "市"),
    "street": ("街道办事处", "街道", "镇", "乡", "苏木"),
    "community": ("村村委会", "村委会", "居委会", "社区"),
}
LEVELS = tuple(_SUFFIXES)


def _bare(level: str, word: str) -> str:
    return next((word.removesuffix(end) for end in _SUFFIXES.get(level, ()) if word.endswith(end)), word)


_ROADLIKE = r"(?![东西南北中大前后]?[路街巷道])"
_BUILDING = r"(?:\d+号(?:楼|院|栋|幢)|[A-Za-z]?\d*[A-Za-z]?(?<=[0-9A-Za-z])(?:栋|幢|座))"
_UNIT = r"(?:[0-9A-Za-z甲乙丙丁]+单元)"
_FLOOR = r"(?:(?:负|地下|B)?\d+(?:层|楼|F))"
_ROOM = r"(?:[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*(?:室|房|户))"
_NUMBER = r"[甲乙丙丁]?\d+(?:[-之附]\d+)?[甲乙丙丁]?"
_NEXT = r"(?=[甲乙丙丁]?\d|$)"
_LANES = r"(?:\d+段)?(?:\d+巷)?(?:\d+弄)?(?:\d+排)?"
_GRAMMAR: tuple[tuple[str, str], ...] = (
    ("province", r"[^\d市区县路街号]{2,7}?(?:省|自治区|特别行政区)"),
    ("city", r"[^\d区县路街巷号镇乡]{1,9}?自治州|[^\d区县路街巷号镇乡]{1,6}?(?:地区|盟|市)(?!区|场|民|府|政)"),
    (
        "district",
        r"[^\d号](?:[^\d路街巷弄号镇乡道]|[镇乡](?=[县区市])){0,9}?"
        r"(?:(?<![小社园校街])区|自治县|县|旗|市(?!场|民|府|政))",
    ),
    ("street", r"[^\d号][^\d巷弄号]{0,8}?街道(?:办事处|(?!路))|[^\d号][^\d路巷弄号]{0,8}?(?:镇|乡|苏木)(?![路街巷道])"),
    ("community", r"[^\d号]{1,10}?(?:社区|居委会|村委会)|[^\d路街巷弄号]{1,10}?村(?:村?委会)?" + _ROADLIKE),
    (
        "road",
        rf"[^\d号]{{1,12}}?(?:大街|大道|公路|道路|路|街|(?:巷|胡同|里|弄|条|道){_NEXT})"
        rf"(?:[^\d号甲乙丙丁]{{0,4}}?巷{_NEXT})?{_LANES}|\d+(?:巷|弄)(?:\d+弄)?|\d+(?:组|排|队)(?=\d)",
    ),
    ("road", rf"[^\d号]{{2,10}}?(?={_NUMBER}(?:号|$))(?!{_BUILDING})"),
    ("number", rf"{_NUMBER}(?:号院|号(?!楼|栋|幢)|$)"),
    ("place", rf".*?(?={_BUILDING}|{_UNIT}|{_FLOOR}|{_ROOM}|$)"),
    ("building", _BUILDING),
    ("unit", _UNIT),
    ("floor", _FLOOR),
    ("room", _ROOM + r"|\d{2,4}$"),
)
_STEPS = tuple((name, re.compile(pattern)) for name, pattern in _GRAMMAR)
# Behind a town or township a village is meant even where the next word is a road: 西坪镇北街村东巷.
_VILLAGE = re.compile(r"[^\d号]{1,6}?村(?:村?委会)?(?![路街巷道])")
_ONWARD = re.compile(rf"[^\d号]{{1,8}}?(?:大街|大道|路|街|巷|胡同){_NEXT}")
_NAMES = tuple(item.name for item in fields(Address))


def tidy(text: str) -> str:
    """`text` in one form: half width, no spaces, suffixes in one script, Chinese numerals of numbers as digits."""
    plain = _NOISE.sub("", unicodedata.normalize("NFKC", text)).translate(_FORMS)
    counted = _NUMERAL.sub(lambda found: _digits(found.group()), plain)
    return _BEHIND.sub(r"\1\2\3号", counted)


def _digits(word: str) -> str:
    """二十三 -> 23, 一百零五 -> 105, 一二三 -> 123."""
    if not set(word) & set(_TENS):
        return "".join(str(_DIGITS[c]) for c in word)
    total, last = 0, 0
    for c in word:
        if c in _TENS:
            total += max(last, 1) * _TENS[c]
            last = 0
        else:
            last = _DIGITS[c]
    return str(total + last)


def parse(text: str, names: PlaceNames | None = None) -> Address:
    """The address in `text` by level; a level that is not said stays "", what nothing claims is place or rest.

    names   known names decide first: the longest that the text begins with, at each level; a name without its suffix
            (平城 for 平城区) counts where a known name or a road follows, and comes out in full
    """
    words, left = dict.fromkeys(_NAMES, ""), tidy(text)
    for name, pattern in _STEPS:
        if words[name]:
            continue
        said, taken = _step(name, pattern, left, words["street"], names)
        words[name], left = said, left[taken:]
    words["number"] = words["number"].removesuffix("号")
    return Address(**{**words, "rest": left})


def parse_all(texts: Iterable[str], names: PlaceNames | None = None) -> list[Address]:
    """`parse` of every text; texts that differ in their digits alone are taken apart once."""
    shapes: dict[str, Address] = {}
    found = []
    for text in texts:
        plain = tidy(text)
        runs = _RUN.findall(plain)
        shape = _RUN.sub(_stand_in, plain)
        if shape not in shapes:
            shapes[shape] = parse(shape, names)
        found.append(_with_digits(shapes[shape], iter(runs)))
    return found


def _with_digits(shape: Address, digits: Iterator[str]) -> Address:
    words = (getattr(shape, name) for name in _NAMES)
    return Address(*(_RUN.sub(lambda _: next(digits), word) if word else "" for word in words))


_RUN = re.compile(r"\d+")


def _stand_in(run: re.Match[str]) -> str:
    # A room is told by two to four digits, so a run keeps that much of its length.
    n = len(run.group())
    return "0" if n == 1 else "00" if n <= 4 else "00000"


def _step(name: str, pattern: re.Pattern[str], left: str, street: str, names: PlaceNames | None) -> tuple[str, int]:
    """(the word of one level in full, characters taken)."""
    known = _known(name, left, names) if names else ("", 0)
    if known[1]:
        return known
    found = None
    if name == "community" and street.endswith(("镇", "乡", "苏木")):
        found = _VILLAGE.match(left)
    found = found or pattern.match(left)
    # A known name further down that begins here is not swallowed by a pattern of a wider level.
    if (
        found
        and names
        and name in LEVELS
        and any(len(names.longest(below, left)) >= found.end() for below in _below(name))
    ):
        return "", 0
    return (found.group(), found.end()) if found else ("", 0)


def _below(name: str) -> tuple[str, ...]:
    return (*LEVELS[LEVELS.index(name) + 1 :], "road")


def _known(name: str, left: str, names: PlaceNames) -> tuple[str, int]:
    word = names.longest(name, left)
    if word and (name == "road" or not re.match("[路街巷道]", left[len(word) :])):
        return word, len(word)
    bare = names.shortened(name, left)
    if not bare:
        return "", 0
    after = left[len(bare) :]
    onward = _ONWARD.match(after) or any(names.longest(n, after) or names.shortened(n, after) for n in _below(name))
    return (names.short[name][bare], len(bare)) if onward else ("", 0)


def compose(address: Address) -> str:
    """The address in one line, from the widest level to the narrowest; `parse` gives the same address again."""
    number = address.number + ("号" if address.number and address.number[-1] != "院" else "")
    return "".join(number if name == "number" else getattr(address, name) for name in _NAMES)


def agreement(said: Address, known: Address) -> float:
    """How far two addresses speak of the same house, -1 (they contradict) to 1 (road, number and building agree).

    Weights: road 0.4, number 0.4, building 0.2; a level that either leaves out says nothing. A number counts on the
    same road only, a building only where nothing wider contradicts.
    """
    if said.district and known.district and said.district != known.district and said.road != known.road:
        return -1.0
    road, number, building = (_same(getattr(said, key), getattr(known, key)) for key in ("road", "number", "building"))
    if road < 0.0:
        return -1.0
    if number < 0.0:
        return -1.0 if road > 0.0 else 0.0
    if building < 0.0:
        return -0.6
    return 0.4 * road + 0.4 * number * (road > 0.0) + 0.2 * building


def _same(one: str, other: str) -> float:
    if not one or not other:
        return 0.0
    return 1.0 if one.replace("之", "-") == other.replace("之", "-") else -1.0
