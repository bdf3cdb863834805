"""The command line: `twin <verb> DIR`. Exit codes: 0 done, 1 done with failures listed, 2 bad input or usage."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import twin
from twin import finding, pipeline, template
from twin.errors import OptionsError, TwinError
from twin.options import describe_options
from twin.outcome import Report, report_as_text
from twin.progress import Progress
from twin.workers import Workers

_SELDOM = 50_000
"""Objects between two looks for rings of garbage; arrays are few objects, modules are many and stay."""


def program() -> NoReturn:
    """The command line as a program of its own: it says its exit code and ends."""
    gc.set_threshold(_SELDOM)
    code = main()
    # What is still there is not worth a last look, which takes a third of a second.
    gc.freeze()
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    parser = _parser(words)
    args = parser.parse_args(words)
    if not hasattr(args, "verb"):
        parser.print_help()
        return 2
    try:
        return int(args.verb(args))
    except TwinError as error:
        print(f"twin: {_plain(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\ntwin: 已中断，重新运行同一命令即可续作 / stopped; run the same command again to go on", file=sys.stderr
        )
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _plain(text: str) -> str:
    """One line that no terminal takes for commands: a name of a file or a column may hold any character."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="twin",
        description="平城 Pingcheng: a city digital twin engine.",
        epilog=template.GUIDE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pingcheng {twin.__version__}")
    verbs = parser.add_subparsers(metavar="VERB", title="verbs")

    def verb(
        name: str, help_: str, do: Callable[[argparse.Namespace], int], default: str = ""
    ) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=help_, description=help_)
        place = {"nargs": "?", "default": default} if default else {}
        sub.add_argument("dir", metavar="DIR", help="folder of the city (holds city.toml)", **place)  # type: ignore[arg-type]
        sub.set_defaults(verb=do)
        return sub

    demo = verb("demo", "make the Datong sample, run the whole recipe, serve it, print the address", _demo, "demo")
    demo.add_argument("--scale", type=int, default=25000, help="number of building footprints (default 25000)")
    demo.add_argument("--no-serve", action="store_true", help="stop when the city is built")
    template.add_serving(demo)
    _add_running(demo)
    verb("init", "write a commented city.toml", _init)
    whole = verb("run", "the whole recipe; does only what is out of date", _run)
    whole.add_argument(
        "--only", action="append", default=[], choices=[s.name for s in pipeline.STAGES], help="one stage"
    )
    _add_running(whole)
    for stage in pipeline.STAGES:
        sub = verb(stage.name, f"one stage of the recipe: {stage.title}", _run)
        _add_running(sub)
        if stage.name in words[:1]:
            _add_options(sub, stage)
        sub.set_defaults(only=[stage.name], stage=stage.name)
    serve = verb("serve", "serve what is there; live layers on", _serve)
    template.add_serving(serve)
    template.add_fetching(verb("fetch", "download open data for a place and declare it in city.toml", _fetch))
    template.add_checking(verb("check", "open everything that was written and check it", _check, "."))
    changes = verb("changes", "what a delivery of a layer added, removed and changed", _changes)
    changes.add_argument("layer", metavar="LAYER", help="name of the layer, as `twin info` shows it")
    changes.add_argument("--from", dest="old", type=int, metavar="N", help="version (default: the one before)")
    changes.add_argument("--to", dest="new", type=int, metavar="M", help="version (default: the last)")
    changes.add_argument("--json", action="store_true", help="print every oid as JSON")
    _add_finding(verb)
    report = verb("report", "pages that open offline: quality of the sources, and what L2 made of them", _report)
    report.add_argument(
        "--of", choices=list(pipeline.PAGES), help="one page (default: all that there is something for)"
    )
    report.add_argument(
        "--out", default="", metavar="FILE", help="page to write (default DIR/quality.html, DIR/l2.html)"
    )
    template.add_export(verb("export", "write the city in a format for others", _export))
    template.add_package(verb("package", "a signed file of an area, to be used without a network", _package))
    template.add_unpack(verb("unpack", "verify a package and put it into DIR", _unpack))
    return parser


def _add_finding(verb: Callable[..., argparse.ArgumentParser]) -> None:
    info = verb("info", "layers, counts, extents, lineage, sizes", _info)
    info.add_argument("--json", action="store_true", help="print JSON")
    find = verb("geocode", "the places that words mean, or with --at what is at a point", _geocode)
    find.add_argument("text", nargs="?", default="", metavar="TEXT", help="an address or a name")
    find.add_argument("--at", nargs=2, type=float, metavar=("LON", "LAT"), help="a point, degrees, WGS 84")
    find.add_argument("--limit", type=int, default=5, help="candidates at most (default 5)")
    find.add_argument("--json", action="store_true", help="print JSON")
    parts = verb("divisions", "administrative divisions on a day, and who succeeded whom", _divisions)
    parts.add_argument("--on", default="", metavar="DATE", help="a day, YYYY-MM-DD (default: today's divisions)")
    parts.add_argument("--json", action="store_true", help="print JSON")


def _add_running(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=template.cores(), help="processes (default: all cores)")
    parser.add_argument("--dask", default="", metavar="ADDRESS", help="work on this Dask cluster instead")
    parser.add_argument("--force", action="store_true", help="do it even where nothing changed")
    parser.add_argument("--json", action="store_true", help="print the reports as JSON")


def _add_options(parser: argparse.ArgumentParser, stage: pipeline.Stage) -> None:
    group = parser.add_argument_group(f"options, as under [{stage.name}] in city.toml")
    for key, field, default in describe_options(stage.options_class(), stage.name):
        if not isinstance(default, bool | int | float | str):
            continue
        flag = "--" + key.partition(".")[2].replace(".", "-").replace("_", "-")
        unit = f" {field.metadata['unit']}" if field.metadata["unit"] else ""
        text = f"{field.metadata['doc']} (default {default}{unit})".replace("%", "%%")
        kind: Any = _boolean if isinstance(default, bool) else type(default)
        group.add_argument(flag, dest=f"option:{key}", type=kind, default=None, metavar="VALUE", help=text)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _overrides(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    table: dict[str, Any] = {}
    for name, value in vars(args).items():
        if name.startswith("option:") and value is not None:
            *path, last = name.removeprefix("option:").split(".")
            inner = table
            for part in path:
                inner = inner.setdefault(part, {})
            inner[last] = value
    return table


def _demo(args: argparse.Namespace) -> int:
    from ingest.sample import make_sample

    folder = Path(args.dir)
    with Progress() as progress:
        make_sample(folder, scale=args.scale, tell=progress)
    args.only = []
    code = _run(args)
    if code == 2 or args.no_serve:
        if args.no_serve:
            print(f"twin: 城市已建成 / the city is built; `twin serve {folder}` serves it")
        return code
    return _serve(args)


def _init(args: argparse.Namespace) -> int:
    path = template.write_template(Path(args.dir))
    print(
        f"twin: {path}: 请填写 [frame] 与 [[source]] / now declare [frame] and [[source]], then `twin run {args.dir}`"
    )
    return 0


def _fetch(args: argparse.Namespace) -> int:
    from ingest.fetch.build import Wish, fetch
    from ingest.fetch.sizes import weigh

    what = tuple(filter(None, args.what.split(",")))
    wish = Wish(args.bbox, what, args.mirror, args.release, args.extract, args.dates)
    with Progress() as progress:
        report = (weigh if args.dry_run else fetch)(Path(args.dir), wish, progress)
    return _print_reports([report], args.json)


def _run(args: argparse.Namespace) -> int:
    city = twin.open(args.dir)
    with Progress() as progress, Workers(args.workers, progress, args.dask) as workers:
        reports = pipeline.run(city, workers, only=args.only, force=args.force, overrides=_overrides(args))
    return _print_reports(reports, args.json)


def _check(args: argparse.Namespace) -> int:
    with Progress() as progress, Workers(args.workers, progress) as workers:
        if args.tileset:
            reports = [pipeline.check_tileset(args.tileset, workers, args.most, args.seconds)]
        else:
            reports = pipeline.check(twin.open(args.dir), workers)
    return _print_reports(reports, args.json)


def _serve(args: argparse.Namespace) -> int:
    from server.run import serve

    city = twin.open(args.dir)
    host = f"[{args.host}]" if ":" in args.host else args.host
    print(f"twin: {city.name} {city.name_en}  http://{host}:{args.port}/viewer/  (Ctrl+C 停止 / stops)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        serve(city, host=args.host, port=args.port)
    return 0


def _info(args: argparse.Namespace) -> int:
    city = twin.open(args.dir)
    table = template.describe_city(city)
    print(json.dumps(table, ensure_ascii=False, indent=1) if args.json else template.city_as_text(table))
    return 0


def _changes(args: argparse.Namespace) -> int:
    store = twin.open(args.dir).store
    versions = store.versions(args.layer)
    if len(versions) == 1 and args.old is None and not args.json:
        print(f"twin: {args.layer}: 只有一个版本 / version {versions[0].number} is the only one remembered")
        return 0
    changes = store.changes(args.layer, args.old, args.new)
    if args.json:
        print(json.dumps(changes.as_dict(), ensure_ascii=False, indent=1))
    else:
        print(template.changes_as_text(changes, versions))
    return 0


def _geocode(args: argparse.Namespace) -> int:
    city = twin.open(args.dir)
    if bool(args.text) == (args.at is not None):
        raise OptionsError("geocode wants an address or --at LON LAT, one of the two")
    table = finding.found_at(city, args.at) if args.at else finding.found_by(city, args.text, args.limit)
    print(json.dumps(table, ensure_ascii=False, indent=1) if args.json else finding.found_as_text(table))
    return 0 if any(table.values()) else 1


def _divisions(args: argparse.Namespace) -> int:
    table = finding.divisions_on(twin.open(args.dir), args.on)
    print(json.dumps(table, ensure_ascii=False, indent=1) if args.json else finding.divisions_as_text(table))
    return 0


def _report(args: argparse.Namespace) -> int:
    city = twin.open(args.dir)
    for out, words in pipeline.write_pages(city, args.of or "", Path(args.out) if args.out else None):
        print(f"twin: {out}: {words}")
    return 0


def _export(args: argparse.Namespace) -> int:
    from twin.store.geopackage import write_geopackage_of

    city = twin.open(args.dir)
    out = Path(args.out)
    if out.exists():
        raise OptionsError(f"{out}: is there already; choose another name or remove it")
    if args.format == "pmtiles":
        with Progress() as progress, Workers(template.cores(), progress) as workers:
            print(f"twin: {out}: {pipeline.export_map(city, out, workers)}")
        return 0
    if args.format == "3tz":
        from tiles.archive.threetz import write_3tz

        print(f"twin: {out}: {write_3tz(city, out, tuple(args.bbox) if args.bbox else None)} 个文件 / files")
        return 0
    if args.format != "gpkg":
        return _export_model(city, out, args)
    names = [item.name for item in city.store.items("layer")]
    write_geopackage_of(out, ((name, city.layer(name)) for name in names))
    print(f"twin: {out}: {len(names)} 个图层 / layers")
    return 0


def _export_model(city: twin.City, out: Path, args: argparse.Namespace) -> int:
    from tiles.cityjson.gather import CLASSES, Choice, bounds_of
    from tiles.cityjson.write import write_cityjson, write_cityjsonseq

    bounds = None if args.bbox is None else bounds_of(city.frame, args.bbox)
    write = write_cityjson if args.format == "cityjson" else write_cityjsonseq
    classes = frozenset(filter(None, args.classes.split(","))) or frozenset(CLASSES)
    if classes - set(CLASSES):
        raise OptionsError(f"--classes {args.classes}: known are {', '.join(CLASSES)}")
    told = write(city, out, Choice(bounds, round(args.lod * 10), classes))
    kinds = ", ".join(f"{count} {name}" for name, count in told.classes.items())
    print(
        f"twin: {out}: {told.objects} 个城市对象 / city objects ({kinds}), {told.parts} 个构件 / parts, "
        f"{told.vertices} vertices"
    )
    return 0


def _package(args: argparse.Namespace) -> int:
    from tiles.archive import package
    from tiles.archive.keys import new_key

    key = Path(args.new_key) if args.new_key else None
    if key is not None and not args.dry_run:
        print(f"twin: {key}: 公钥 / public key {new_key(key)}")
    if not args.out and not args.dry_run:
        if key is None:
            raise OptionsError("package wants OUT, the file to write, or --dry-run")
        return 0
    city, area = twin.open(args.dir), tuple(args.bbox) if args.bbox else None
    wish = package.Wish(area, Path(args.since) if args.since else None)
    told = package.weigh(city, wish) if args.dry_run else package.write_package(city, wish, Path(args.out), key)
    signed = f", 签名 / signed by {told.key}" if told.key else ""
    print(f"twin: {args.out or args.dir}: {told.held} / {told.listed} 个文件 / files, {told.size} B{signed}")
    return 0


def _unpack(args: argparse.Namespace) -> int:
    from tiles.archive.unpack import unpack

    told = unpack(Path(args.package), Path(args.dir), args.key)
    print(
        f"twin: {args.dir}: {told.held} 个新文件，共 {told.listed} 个 / new files of {told.listed}, "
        f"签名 / signed by {told.key}"
    )
    return 0


def _print_reports(reports: list[Report], as_json: bool) -> int:
    if as_json:
        print(json.dumps([report.as_dict() for report in reports], ensure_ascii=False, indent=1))
    else:
        for report in reports:
            print(report_as_text(report))
    return 1 if any(report.failed for report in reports) else 0


if __name__ == "__main__":
    program()
