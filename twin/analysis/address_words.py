"""Chinese addresses taken apart into their levels and put together again, by a table of suffixes."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, fields

# Only the characters that end a level are brought to one form: names stay as they are written.
_FORMS = str.maketrans("號縣區鄉鎮樓棟單臺盧衚衕", "号县区乡镇楼栋单台卢胡同")
_NOISE = re.compile(r"[\s,，、;；。]+")
_DIGITS = {c: k for k, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2, "兩": 2}
_NUMERALS = "〇零一二三四五六七八九十百两兩"
_NUMERAL = re.compile(
    rf"[{_NUMERALS}]+(?=号|栋|幢|单元|室)|(?<=[路街道])[{_NUMERALS}]+(?=段)|(?<=[路街道段巷])[{_NUMERALS}]+(?=巷\d|弄)"
)


@dataclass(frozen=True, slots=True)
class Address:
    """One address by level, each "" where it is not said.

    province..community   with their suffixes: 山西省, 大同市, 平城区, 西街街道, 灯塔社区
    road                  with section, lane and alley: 光復路2段194巷
    number                without 号 (19, 16-1); a compound keeps its word (18号院)
    place                 name between number and building: 阳光小区, 鼓楼
    building, unit        3号楼, 21号院, A座; 2单元
    rest                  floor and room
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
    rest: str = ""


_ROADLIKE = r"(?![东西南北中大前后]?[路街巷道])"
_BUILDING = r"(?:\d+号(?:楼|院|栋|幢)|[A-Za-z]?\d*[A-Za-z]?(?<=[0-9A-Za-z])(?:栋|幢|座))"
_UNIT = r"(?:[0-9A-Za-z甲乙丙丁]+单元)"
_NUMBER = r"\d+(?:[-之]\d+)?[甲乙丙丁]?"
_LANES = r"(?:\d+段)?(?:\d+巷)?(?:\d+弄)?"
_GRAMMAR: tuple[tuple[str, str], ...] = (
    ("province", r"[^\d市区县路街号]{2,7}?(?:省|自治区|特别行政区)"),
    ("city", r"[^\d区县路街巷号镇乡]{1,6}?(?:自治州|地区|盟|市)(?!区|场|民)"),
    ("district", r"[^\d号][^\d路街巷弄号镇乡道]{0,9}?(?:(?<![小社园校街])区|自治县|县|旗|市(?!场|民))"),
    ("street", r"[^\d号][^\d路巷弄号]{0,8}?(?:街道办事处|街道(?!路)|(?:镇|乡|苏木)(?![路街巷道]))"),
    ("community", r"[^\d路街巷弄号]{1,10}?(?:社区|居委会|村委会|村(?!委会))" + _ROADLIKE),
    (
        "road",
        r"[^\d号]{1,12}?(?:大街|大道|公路|道路|路|街|(?:巷|胡同|里|弄|条|道)(?=\d|$))"
        rf"(?:[^\d号]{{0,4}}?巷(?=\d|$))?{_LANES}|\d+(?:巷|弄)(?:\d+弄)?",
    ),
    ("road", rf"[^\d号]{{2,10}}?(?={_NUMBER}(?:号|$))(?!{_BUILDING})"),
    ("number", rf"{_NUMBER}(?:号院|号(?!楼|栋|幢)|$)"),
    ("place", rf".*?(?={_BUILDING}|{_UNIT}|$)"),
    ("building", _BUILDING),
    ("unit", _UNIT),
)
_STEPS = tuple((name, re.compile(pattern)) for name, pattern in _GRAMMAR)
_NAMES = tuple(field.name for field in fields(Address))


def tidy(text: str) -> str:
    """`text` in one form: half width, no spaces, suffixes in one script, Chinese numerals of numbers as digits."""
    plain = _NOISE.sub("", unicodedata.normalize("NFKC", text)).translate(_FORMS)
    return _NUMERAL.sub(lambda found: _digits(found.group()), plain)


def _digits(word: str) -> str:
    """二十三 -> 23, 一百零五 -> 105, 一二三 -> 123."""
    if not set(word) & set("十百"):
        return "".join(str(_DIGITS[c]) for c in word)
    total, last = 0, 0
    for c in word:
        if c in "十百":
            total += max(last, 1) * (10 if c == "十" else 100)
            last = 0
        else:
            last = _DIGITS[c]
    return str(total + last)


def parse(text: str) -> Address:
    """The address in `text` by level; a level that is not said stays "", what nothing claims is place or rest."""
    words, left = dict.fromkeys(_NAMES, ""), tidy(text)
    for name, pattern in _STEPS:
        found = None if words[name] else pattern.match(left)
        if found:
            words[name], left = found.group(), left[found.end() :]
    words["number"] = words["number"].removesuffix("号")
    return Address(**{**words, "rest": left})


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
    return 1.0 if one == other else -1.0
