"""The quality document as one page: self-contained, Chinese first with English beside it, opens offline and prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ingest.quality.drawing import INKS, definitions, ink, mark, marks_of, share_bar, source_map, time_strip
from ingest.quality.measures import ANNEX_D, MEASURES, QUALITIES, SCHEMA
from ingest.quality.words import BETWEEN, COLUMNS, ELEMENTS, FIGURES, KINDS, STYLE, UNITS
from twin.errors import MissingInputError

SHOWN = 3  # features named at once; the rest of the list is folded


def quality_page(document: Mapping[str, Any], names: tuple[str, str], badges: tuple[str, str] = ("", "")) -> str:
    """HTML of a quality document.

    names   the city in the local language and in English
    badges  what is always said about the data, in both languages; empty where nothing
    raises  MissingInputError for a document of another version
    """
    if document.get("schema") != SCHEMA:
        raise MissingInputError(
            "the quality document was written by another version; `twin ingest DIR --force` writes it anew"
        )
    sections = "".join(_source(source) for source in document["sources"])
    badge = f'<p class="badge">{both(*badges)}</p>' if badges[0] else ""
    return (
        '<!DOCTYPE html>\n<html lang="zh-CN"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(names[0])} 数据质量报告 · Data quality</title><style>{STYLE}</style></head><body>"
        f"{definitions()}<header><div><p class='over'>{both('数据质量报告', 'Data quality report')}</p>"
        f"<h1>{both(*names)}</h1>{badge}</div>{_summary(document)}</header><main>"
        f"<section><h2>{both('一览：来源与五类质量', 'At a glance: sources and five qualities')}</h2>"
        f"{_matrix(document['sources'])}</section>"
        f"{_between(document['between'])}"
        f"<section class='sources'><h2>{both('逐一来源', 'Source by source')}</h2>{sections}</section></main>"
        f"<footer>{_notes(document)}</footer></body></html>\n"
    )


def both(zh: str, en: str) -> str:
    """A word in both languages: Chinese first, English smaller after it; once where they are the same."""
    if not en or en == zh:
        return escape(zh)
    return f'{escape(zh)} <span class="en" lang="en">{escape(en)}</span>'


def number(value: float | None) -> str:
    """A figure with thin thousands; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


def _summary(document: Mapping[str, Any]) -> str:
    totals = document["totals"]
    dates = totals["oldest"] if totals["oldest"] == totals["newest"] else f"{totals['oldest']} – {totals['newest']}"
    cards = [
        (number(totals["sources"]), "个来源", "sources"),
        (number(totals["sources_without_fault"]), "个来源未见问题", "sources with nothing found"),
        (dates or "–", "来源日期", "dates of the sources"),
        (document["frame"]["crs"], f"工作坐标系，高程 {document['frame']['vertical']}", "working CRS and datum"),
    ]
    return (
        '<dl class="summary">'
        + "".join(f"<div><dd>{escape(value)}</dd><dt>{both(zh, en)}</dt></div>" for value, zh, en in cards)
        + "</dl>"
    )


def _matrix(sources: Sequence[Mapping[str, Any]]) -> str:
    heads: list[tuple[str, str]] = [
        ("来源", "source"),
        ("类别", "kind"),
        ("交付", "delivered"),
        ("入库", "kept"),
        ("日期", "date"),
    ]
    heads += [("声明精度", "accuracy")]
    top = "".join(f'<th scope="col">{both(*words)}</th>' for words in heads)
    top += "".join(
        f'<th scope="col" class="q" style="border-color:{INKS[key]}">{both(*words)}</th>'
        for key, words in QUALITIES.items()
    )
    rows = "".join(_matrix_row(source) for source in sources)
    return f'<div class="wide"><table class="matrix"><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>'


def _matrix_row(source: Mapping[str, Any]) -> str:
    accuracy = "–" if source["accuracy"] is None else f"±{source['accuracy']:g} m"
    unit = "" if source["unit"] == "features" else " " + both(*UNITS[source["unit"]])
    cells = [
        f'<th scope="row"><a href="#{_anchor(source)}">{escape(source["name"])}</a></th>',
        f"<td>{both(*KINDS.get(source['kind'], (source['kind'], '')))}</td>",
        f'<td class="n" data-q="交付">{number(source["delivered"])}{unit}</td>',
        f'<td class="n" data-q="入库">{number(source["kept"])}</td>',
        f'<td class="n">{escape(source["date"]) or "–"}</td>',
        f'<td class="n">{accuracy}</td>',
    ]
    for key in QUALITIES:
        found = [row for row in source["quality"][key] if row["fault"]]
        if not found and key not in source["checked"]:
            cells.append('<td class="q none"><span aria-label="未作检查 not checked">–</span></td>')
            continue
        if not found:
            cells.append('<td class="q none"><span aria-label="未见问题 nothing found">○</span></td>')
            continue
        first = max(found, key=lambda row: (row["count"], row["measure"]))
        rest = f" <small>+{len(found) - 1}</small>" if len(found) > 1 else ""
        words = first["title"] + (f" {number(first['count'])}" if first["of"] else "")
        cells.append(
            f'<td class="q" style="color:{INKS[key]}" data-q="{QUALITIES[key][0]}">● '
            f'<a href="#{_anchor(source)}-{first["measure"]}"><b>{escape(words)}</b></a>{rest}'
            f'<span class="en" lang="en">{escape(first["title_en"])}</span></td>'
        )
    return f"<tr>{''.join(cells)}</tr>"


def _anchor(source: Mapping[str, Any]) -> str:
    return "s-" + escape("".join(c if c.isalnum() or c in "-_" else "-" for c in source["name"]))


def _source(source: Mapping[str, Any]) -> str:
    rows = [row for key in QUALITIES for row in source["quality"][key]]
    shown = {fault["measure"] for fault in source["map"]["faults"]} if source["map"] else set()
    marks = marks_of([row["measure"] for row in rows if row["measure"] in shown])
    kind = both(*KINDS.get(source["kind"], (source["kind"], "")))
    clean = not any(row["fault"] for row in rows)
    state = f'<p class="clean">○ {both("各项检查未见问题", "nothing found by any check")}</p>' if clean else ""
    aside = _map(source, marks) + _times(source)
    body = f"{_facts(source)}{state}{_findings(rows, marks, _anchor(source))}{_attributes(source)}{_steps(source)}"
    figure = f'<div class="aside">{aside}</div>' if aside else ""
    style = " alone" if not aside else "" if shown or source["times"] else " slim"
    return (
        f'<article id="{_anchor(source)}"><h3>{escape(source["name"])} <small>{kind}</small></h3>'
        f'<div class="pair{style}"><div>{body}</div>{figure}</div></article>'
    )


def _facts(source: Mapping[str, Any]) -> str:
    undeclared = f'<span class="open">{both("未声明", "not declared")}</span>'
    accuracy = undeclared if source["accuracy"] is None else f"±{source['accuracy']:g} m"
    facts = [
        (("交付", "delivered"), f"{number(source['delivered'])} {both(*UNITS[source['unit']])}"),
        (("入库", "kept"), number(source["kept"])),
        (("坐标系", "CRS"), escape(source["crs"]) or undeclared),
        (("高程基准", "datum"), escape(source["vertical"])),
        (("声明精度", "accuracy"), accuracy),
        (("日期", "date"), escape(source["date"]) or undeclared),
        (("许可", "licence"), escape(source["licence"]) or undeclared),
    ]
    # What a source cannot have is not asked of it.
    no_place = {"CRS", "accuracy"} if "positional" not in source["checked"] else set()
    absent = {word for word, key in (("kept", "kept"), ("datum", "vertical")) if source[key] in (None, "")}
    facts = [(words, value) for words, value in facts if words[1] not in no_place | absent]
    return (
        '<dl class="facts">'
        + "".join(f"<div><dt>{both(*words)}</dt><dd>{value}</dd></div>" for words, value in facts)
        + "</dl>"
    )


def _features(row: Mapping[str, Any], anchor: str) -> tuple[str, str]:
    """(the features concerned: a few at once, the rest folded; the count, which opens them)."""
    named, count = row["examples"], number(row["count"]) if row["of"] else "–"
    first = f'<div class="eg">{escape("；".join(named[:SHOWN]))}</div>' if named else ""
    if len(named) <= SHOWN:
        return first, count
    lines = "".join(f"<li>{escape(name)}</li>" for name in named)
    of = number(row["count"])
    title = both(f"前 {len(named)} 个，共 {of}", f"first {len(named)} of {of}")
    title = both(f"全部 {of} 个", f"all {of}") if len(named) == row["count"] else title
    # A link to what is inside opens what is folded.
    folded = f'<details><summary>{title}</summary><ol id="{anchor}-list" class="eg">{lines}</ol></details>'
    return first + folded, f'<a href="#{anchor}-list">{count}</a>'


def _annex(row: Mapping[str, Any]) -> str:
    if row["annex_d"] is None:
        return ""
    name = ANNEX_D[row["measure"]][1]
    return f'<span class="en" lang="en">ISO 19157:2013 D, {row["annex_d"]}: {escape(name)}</span>'


def _findings(rows: Sequence[Mapping[str, Any]], marks: Mapping[str, int], anchor: str) -> str:
    if not rows:
        return ""
    lines = []
    for row in rows:
        sign = f'<span style="color:{ink(row["measure"])}">●</span>' if row["fault"] else ""
        sign = mark(row["measure"], marks[row["measure"]]) if row["measure"] in marks else sign
        quality = MEASURES[row["measure"]].quality
        zh = ELEMENTS.get(row["element"], row["element"])
        more, count = _features(row, f"{anchor}-{row['measure']}")
        lines.append(
            f'<tr id="{anchor}-{row["measure"]}" class="{"" if row["fault"] else "sub"}"><td class="m">{sign}</td>'
            f"<td><b>{both(row['title'], row['title_en'])}</b>{more}</td>"
            f'<td class="el">{both(QUALITIES[quality][0] + " · " + zh, row["element"])}{_annex(row)}</td>'
            f'<td class="n">{count}</td>'
            f'<td class="n">{_share(row["count"], row["of"])}</td></tr>'
        )
    head = [("", ""), ("发现", "finding"), ("质量元素", "quality element"), ("数量", "count"), ("占比", "share")]
    top = "".join(f'<th scope="col">{both(*words)}</th>' for words in head)
    return f'<table class="found"><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def _share(count: int, of: int) -> str:
    if not of or count > of:
        return ""
    return "&lt;0.01 %" if 100.0 * count < 0.01 * of else f"{100.0 * count / of:.2f} %"


def _attributes(source: Mapping[str, Any]) -> str:
    if not source["attributes"]:
        return ""
    items = "".join(
        f"<li><span>{both(COLUMNS.get(row['column'], row['column']), row['column'])}</span>"
        f"{share_bar(row['known'], row['of'])}"
        f'<span class="n">{_percent(row["known"], row["of"])}</span></li>'
        for row in source["attributes"]
    )
    return f"<h4>{both('属性完整度', 'attributes with a value')}</h4><ul class='attrs'>{items}</ul>"


def _percent(known: int, of: int) -> str:
    if not of:
        return "–"
    share = 100.0 * known / of
    # Nearly all is not all, and a few are not none.
    share = min(share, 99.9) if known < of else share
    return f"{max(share, 0.1) if known else 0:.1f} %"


def _steps(source: Mapping[str, Any]) -> str:
    if not source["steps"]:
        return ""
    items = "".join(f"<li>{escape(step)}</li>" for step in source["steps"])
    return f"<h4>{both('来历与处理步骤', 'lineage and steps')}</h4><ol class='steps'>{items}</ol>"


def _map(source: Mapping[str, Any], marks: Mapping[str, int]) -> str:
    if not source["map"]:
        return ""
    picture = source_map(source["map"], marks, escape(f"{source['name']} 分布与问题位置 where the problems are"))
    legend = []
    titles = {row["measure"]: row for rows in source["quality"].values() for row in rows}
    for fault in source["map"]["faults"]:
        row = titles[fault["measure"]]
        off = (
            f"<small>（其中 {number(fault['off'])} 处在图外，记于图边 off the map, at its edge）</small>"
            if fault["off"]
            else ""
        )
        shown = sum(cell[2] for cell in fault["cells"])
        legend.append(
            f"<li>{mark(fault['measure'], marks[fault['measure']])}{both(row['title'], row['title_en'])} "
            f'<span class="n">{number(shown)}<small>{off}</small></span></li>'
        )
    words = "".join(legend) or f"<li>{both('无可定位的问题', 'no fault with a place')}</li>"
    return f"<figure>{picture}<ul class='legend'>{words}</ul></figure>"


def _times(source: Mapping[str, Any]) -> str:
    times = source["times"]
    if not times:
        return ""
    step = f"{times['step'] / 60:g} min" if times["step"] else "–"
    strip = time_strip(times["bins"], escape(f"{source['name']} 观测的时间分布 observations over time"))
    return (
        f"<figure>{strip}<p class='ends'><span>{times['since']}</span><span>{times['until']}</span></p>"
        f"<p>{both('世界时；序列', 'UTC; series')} {number(times['series'])} · {both('步长', 'step')} {step} · "
        f"{both('应有', 'expected')} {number(times['expected'])} · {both('实有', 'found')} {number(times['found'])}</p>"
        "</figure>"
    )


def _between(meetings: Sequence[Mapping[str, Any]]) -> str:
    if not meetings:
        return ""
    cards = []
    for meeting in meetings:
        zh, en = BETWEEN[meeting["measure"]]
        figures = "".join(
            f"<div><dt>{both(*words[:2])}</dt><dd>{number(meeting['figures'][key])}{words[2]}</dd></div>"
            for key, words in FIGURES.items()
            if key in meeting["figures"]
        )
        pair = f"{escape(meeting['first'])} × {escape(meeting['second'])}"
        cards.append(f'<article class="meet"><h3>{pair} <small>{both(zh, en)}</small></h3><dl>{figures}</dl></article>')
    title = both("两个来源相遇之处：相对位置精度", "Where two sources meet: relative positional accuracy")
    return f"<section><h2>{title}</h2><div class='meets'>{''.join(cards)}</div></section>"


def _notes(document: Mapping[str, Any]) -> str:
    zh = (
        f"质量类别与元素依 {document['standard']}。数量为受影响的要素、格网或观测行；○ 表示已检查而未见问题，"
        "– 表示没有适用的检查。声明精度为来源自报的一倍中误差，非本报告实测。"
        "地图有全域与建成区两种范围；灰度为疏密（地形图为高低），符号为问题所在格。"
    )
    en = (
        f"Qualities and elements after {document['standard']}. Counts are features, cells or rows affected; an open "
        "circle: checked, nothing found; a dash: no check applies. Declared accuracy is one sigma as the source states "
        "it, not measured here. Maps show the whole area or the built-up part; grey is density (height for terrain), "
        "marks are cells with faults."
    )
    return f'<p>{escape(zh)}</p><p lang="en">{escape(en)}</p>'
