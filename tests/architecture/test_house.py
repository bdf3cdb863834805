"""The house stands: who imports whom is checked by import-linter, the rest is here."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys

import pytest

import twin
from twin.options import describe_options
from twin.pipeline import STAGES

ROOMS = ("twin", "ingest", "models_l2", "models_l3", "tiles", "server")
HEAVY = ("rasterio", "open3d", "fastapi", "psycopg", "numba", "pyogrio", "geopandas", "pyarrow")
FORBIDDEN_NAMES = ("utils.py", "helpers.py", "common.py", "misc.py")


def modules(root):
    return sorted(p for room in ROOMS for p in (root / room).rglob("*.py") if "node_modules" not in p.parts)


def test_importing_twin_is_light_and_loads_no_other_room():
    code = "import sys, twin; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & set(HEAVY)
    assert not loaded & set(ROOMS[1:])


def test_the_public_face_is_what_it_says():
    assert len(twin.__all__) <= 40
    assert len(set(twin.__all__)) == len(twin.__all__)
    missing = [name for name in twin.__all__ if not hasattr(twin, name)]
    assert not missing


def test_two_files_live_upstairs(root):
    upstairs = []
    for path in (root / "twin").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        names += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        if any(name.partition(".")[0] in ROOMS[1:] for name in names):
            upstairs.append(path.name)
    assert sorted(upstairs) == ["cli.py", "pipeline.py"]


def test_files_and_folders_keep_their_size(root):
    long = [f"{p.relative_to(root)} {n}" for p in modules(root) if (n := len(p.read_text().splitlines())) > 400]
    assert not long
    folders = {p.parent for p in modules(root)}
    crowded = [
        str(f.relative_to(root))
        for f in folders
        if len(list(f.glob("*.py"))) > (20 if f.name in ("twin", "store") else 16)
    ]
    assert not crowded
    deep = [str(p.relative_to(root)) for p in modules(root) if len(p.relative_to(root).parts) > 3]
    assert not deep


def test_there_is_no_junk_room(root):
    assert not [p for p in modules(root) if p.name in FORBIDDEN_NAMES]


def test_rooms_do_not_print_nor_keep_global_settings(root):
    wrong = []
    for path in modules(root):
        text = path.read_text(encoding="utf-8")
        if re.search(r"^[^#\n]*os\.environ", text, re.MULTILINE) and path.name not in ("cli.py", "run.py"):
            wrong.append(f"{path.relative_to(root)}: reads the environment")
    assert not wrong


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
def test_every_option_has_a_sentence_and_a_default_inside_its_bounds(stage):
    from twin.options import check_range

    for key, field, default in describe_options(stage.options_class(), stage.name):
        assert field.metadata.get("doc", "").endswith("."), key
        check_range(field, default, key)
        if isinstance(default, float):
            assert field.metadata["unit"] or field.metadata["max"] is not None or "share" in field.metadata["doc"], key
    assert dataclasses.is_dataclass(stage.options_class())


def test_every_stage_of_the_recipe_is_a_verb():
    told = subprocess.run(
        [sys.executable, "-m", "twin.cli", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for stage in STAGES:
        assert re.search(rf"^    {stage.name} ", told, re.MULTILINE), stage.name


def test_the_repository_speaks_of_the_project_alone(root):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    wrong = []
    for name in filter(None, listed.split("\0")):
        path = root / name
        if name.endswith((".lock", ".png", ".jpg", "package-lock.json")) or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if re.search(r"(^|[^A-Za-z0-9_.])/(work|root|home)/", text) and path.name != "test_house.py":
            wrong.append(name)
    assert not wrong


def test_lock_files_carry_no_address(root):
    packages = [root / folder / "package-lock.json" for folder in ("server/viewer", "tiles/checks", "tests/clients")]
    for lock in [*root.glob("requirements*.lock"), *packages]:
        text = lock.read_text(encoding="utf-8")
        assert not re.search(r'"resolved"|--index-url|--find-links', text), lock.name


def test_version_and_changelog_agree(root):
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {twin.__version__}" in changelog
    assert f'version = "{twin.__version__}"' in (root / "pyproject.toml").read_text(encoding="utf-8")
