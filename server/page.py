"""The two plain pages, landing and interface: nothing on them comes from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ground: #f6f4ef; --card: #fffdf9; --ink: #22201c; --soft: #6b665c; --line: #e2ddd2;
  --accent: #1f7a5c; --accent-soft: #e3efe9; --gold: #c8962e; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181a; --card: #1e2123; --ink: #ece8e0; --soft: #a49e92;
  --line: #33373a; --accent: #49b08d; --accent-soft: #1d3630; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 14px/1.6 "Noto Sans SC", "Source Han Sans SC",
  "PingFang SC", "Microsoft YaHei", sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 1080px; margin: 0 auto; padding: 56px 24px 72px; }
header { border-bottom: 3px solid var(--accent); padding-bottom: 28px; margin-bottom: 32px; }
h1 { font-size: clamp(28px, 7vw, 44px); line-height: 1.15; margin: 0; font-weight: 600; letter-spacing: 0.02em; }
h1 small { display: block; font-size: 18px; color: var(--soft); font-weight: 400; letter-spacing: 0; margin-top: 6px; }
h2 { font-size: 18px; margin: 40px 0 12px; font-weight: 600; }
h2 span, td span, .figures span { color: var(--soft); font-weight: 400; margin-left: 4px; }
.figures span { display: block; margin-left: 0; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
a:focus-visible { outline: 2px solid var(--gold); outline-offset: 2px; border-radius: 3px; }
.skyline { float: right; width: min(34%, 320px); height: auto; fill: var(--accent); opacity: 0.85; margin-top: 4px; }
@media (max-width: 640px) { .skyline { display: none; } }
.badge { display: inline-block; margin: 18px 0 0; padding: 3px 10px; border: 1px dashed var(--gold); border-radius: 4px;
  color: var(--ink); }
.open { display: inline-block; margin: 22px 16px 0 0; padding: 11px 22px; border-radius: 6px; background: #1f7a5c;
  color: #fff; font-size: 16px; } .open:hover { background: #25906d; text-decoration: none; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 0; padding: 0;
  list-style: none; }
.figures li { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px; }
.figures strong { display: block; font-size: 26px; line-height: 1.2; font-weight: 600; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 9px 16px; border-bottom: 1px solid var(--line); white-space: nowrap; }
tr:last-child td { border-bottom: 0; } th { font-weight: 600; } td.number, th.number { text-align: right; }
td.wide { white-space: normal; min-width: 280px; }
code { font: 13px/1.4 ui-monospace, "SFMono-Regular", Consolas, monospace; background: var(--accent-soft);
  padding: 1px 6px; border-radius: 4px; }
footer { margin-top: 48px; padding-top: 16px; border-top: 1px solid var(--line); color: var(--soft); }
"""
# A gate tower on the wall, as one line of roofs: the only picture here, drawn by hand and small.
_MERLONS = "h10v-8h8v8"
SKYLINE = (
    f'<svg class="skyline" viewBox="0 0 320 120" aria-hidden="true"><path d="M0 120V92{_MERLONS * 5}'
    "h10V74h-8q14-2 22-12h-8q12-2 18-10V38h-7q12-3 18-12l10-10 10 10q6 9 18 12h-7v14q6 8 18 10h-8q8 10 22 12h-8v18"
    f'{_MERLONS * 5}h10v28z"/></svg>'
)
STYLE_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of collections."""

    id: str
    title: str
    title_en: str
    count: int


@dataclass(frozen=True, slots=True)
class Face:
    """What the landing page tells of a city."""

    name: str
    name_en: str
    badge: str
    badge_en: str
    figures: Sequence[tuple[str, str, str]]
    collections: Sequence[Row]
    attributions: Sequence[str]


_RESOURCES = (
    ("city", "场景 · 查看器所需的一切", "The scene, everything the viewer needs"),
    ("collections", "要素集合 · OGC API 要素", "Collections, OGC API Features"),
    ("search?q=鼓楼", "地名地址检索", "Names and addresses"),
    ("live/things", "感知设备与最新值", "Things and their last values"),
    ("live/latest", "全部最新值", "All latest values"),
    ("live/events", "实时事件流 · SSE", "Live events as they happen"),
    ("incidents", "事件", "Incidents"),
    ("processes", "分析 · OGC API 处理", "Analyses, OGC API Processes"),
    ("api", "接口说明 · OpenAPI", "Interface description, OpenAPI"),
    ("docs", "接口一览", "The interface on one page"),
    ("conformance", "符合的标准要求", "Conformance"),
    ("readyz", "服务状态", "Whether the service is ready"),
)


def landing(face: Face, language: str) -> str:
    """The landing page in both languages, the asked one first."""
    zh_first = language == "zh"
    names = (face.name, face.name_en) if zh_first else (face.name_en, face.name)
    badge = " · ".join(dict.fromkeys(text for text in _order(face.badge, face.badge_en, zh_first) if text))
    figures = "".join(
        f"<li><strong>{escape(value)}</strong>{_both(zh, en, zh_first)}</li>" for value, zh, en in face.figures
    )
    rows = "".join(
        f'<tr><td>{_both(row.title, row.title_en, zh_first)}</td><td class="number">{row.count:,}</td>'
        f'<td><a href="collections/{row.id}/items">GeoJSON</a></td>'
        f'<td><a href="collections/{row.id}/queryables">{_word("属性", "Properties", zh_first)}</a></td></tr>'
        for row in face.collections
    )
    resources = "".join(
        f'<tr><td><a href="{escape(path)}"><code>/{escape(path)}</code></a></td>'
        f'<td class="wide">{_both(zh, en, zh_first)}</td></tr>'
        for path, zh, en in _RESOURCES
    )
    other = (
        '<a href="?f=html&amp;lang=en" lang="en">English</a>'
        if zh_first
        else '<a href="?f=html&amp;lang=zh" lang="zh">中文</a>'
    )
    kind = _word("城市数字孪生", "city digital twin", zh_first)
    body = (
        f"<header>{SKYLINE}<h1>{escape(names[0])}<small>{escape(names[1])} · {kind}</small></h1>"
        + (f'<p class="badge">{escape(badge)}</p><br>' if badge else "")
        + f'<a class="open" href="viewer/">{_word("打开三维场景", "Open the 3D scene", zh_first)}</a> {other}</header>'
        + (f'<ul class="figures">{figures}</ul>' if figures else "")
        + _section("要素集合", "Collections", zh_first, _table(rows) if rows else f"<p>{_nothing(zh_first)}</p>")
        + _section("接口", "Interface", zh_first, _table(resources))
        + _footer(face.attributions, zh_first)
    )
    return _page(f"{names[0]} · Pingcheng", language, body)


def interface(openapi: Mapping[str, Any], language: str) -> str:
    """The interface on one page: every path, what it answers, its parameters."""
    rows = "".join(
        f"<tr><td><code>{verb.upper()}</code></td><td><code>{escape(path)}</code></td>"
        f'<td class="wide">{escape(_sentence(operation))}{_parameters(operation)}</td></tr>'
        for path, item in openapi["paths"].items()
        for verb, operation in item.items()
    )
    title = _word("接口一览", "The interface on one page", language == "zh")
    back = _word("返回首页", "Back to the landing page", language == "zh")
    text = f'<header><h1>{title}<small><a href="api">OpenAPI</a> · <a href="./?f=html">{back}</a></small></h1></header>'
    return _page(f"{title} · Pingcheng", language, text + _table(rows))


def _parameters(operation: Mapping[str, Any]) -> str:
    names = [str(p["name"]) for p in operation.get("parameters", []) if p["in"] == "query"]
    return "<br>" + " ".join(f"<code>{escape(name)}</code>" for name in names) if names else ""


def _sentence(operation: Mapping[str, Any]) -> str:
    return str(operation.get("description") or operation.get("summary") or "")


def _page(title: str, language: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="{"zh-CN" if language == "zh" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def _table(rows: str) -> str:
    return f'<div class="scroll"><table>{rows}</table></div>'


def _section(zh: str, en: str, zh_first: bool, content: str) -> str:
    return f"<h2>{_both(zh, en, zh_first)}</h2>{content}"


def _both(zh: str, en: str, zh_first: bool) -> str:
    first, second = _order(zh, en, zh_first)
    return f"{escape(first)} <span>{escape(second)}</span>"


def _word(zh: str, en: str, zh_first: bool) -> str:
    return escape(zh if zh_first else en)


def _order(zh: str, en: str, zh_first: bool) -> tuple[str, str]:
    return (zh, en) if zh_first else (en, zh)


def _nothing(zh_first: bool) -> str:
    return _word("尚无数据；运行 twin run 生成。", "Nothing yet; `twin run` makes it.", zh_first)


def _footer(attributions: Iterable[str], zh_first: bool) -> str:
    told = " · ".join(escape(text) for text in attributions)
    return f"<footer>{_word('数据来源', 'Data', zh_first)}: {told or '-'}</footer>"
