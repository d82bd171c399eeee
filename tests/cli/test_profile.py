"""``whyformer profile``: tables that add up, a page, a picture, JSON, and sentences for what cannot be."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Program = Callable[..., Result]


def test_training_and_translation_are_listed_and_drawn(whyformer: Program, reverse_run: Path, tmp_path: Path):
    run = shutil.copytree(reverse_run, tmp_path / "run")
    text = tmp_path / "text.txt"
    text.write_text("0 1 2\n4 3\n", encoding="utf-8")
    result = whyformer("profile", run, "--steps", 2, "--file", text, "--greedy", "--batch", 1)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("training: 2 steps, fp32, ")
    assert any(line.startswith("translation: 2 sentences, greedy search, 1 at a time, ") for line in lines)
    columns = [line.split("  ")[0] for line in lines]
    assert {"part", "encoder attention", "cross-attention", "optimizer", "matrix products"} <= set(columns)
    tables = "\n".join(lines).split("\n\n")[:2]
    for table in tables:
        shares = [float(share) for share in re.findall(r" (\d+\.\d)%", table)]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares))
    page, picture = run / "profile" / "profile.html", run / "profile" / "profile.png"
    assert lines[-2:] == [str(page), str(picture)]
    assert "cross-attention" in page.read_text(encoding="utf-8")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_same_as_json(whyformer: Program, reverse_run: Path, tmp_path: Path):
    result = whyformer("profile", reverse_run, "--steps", 1, "--sentences", 0, "--output", tmp_path, "--json")
    shown = json.loads(result.stdout)
    assert shown["files"] == [str(tmp_path / "profile.html"), str(tmp_path / "profile.png")]
    (training,) = shown["profiles"]
    assert (training["work"], training["unit"], training["count"]) == ("training", "step", 1)
    for rows in (training["parts"], training["operations"], training["cells"]):
        assert sum(row["ms"] for row in rows) == pytest.approx(training["traced_ms"])
    assert min(training["ms"], training["tokens_per_second"], training["peak_memory"]) > 0
    assert 0 < training["mfu"] < 1


def test_where_no_system_tells_the_peak_of_memory_it_is_said_to_be_unknown(
    whyformer: Program, reverse_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    result = whyformer("profile", reverse_run, "--steps", 1, "--sentences", 0, "--output", tmp_path)
    assert ", peak memory unknown here, MFU " in result.stdout


def test_what_cannot_be_profiled_is_said_in_a_sentence(
    whyformer: Program, reverse_run: Path, counting_run: Path, tmp_path: Path
):
    imported = shutil.copytree(reverse_run, tmp_path / "imported")
    recipe = (imported / "recipe.yaml").read_text(encoding="utf-8")
    without_data = re.sub(r"^data:\n(  .*\n)+", "data: null\n", recipe, flags=re.MULTILINE)
    (imported / "recipe.yaml").write_text(without_data, encoding="utf-8")
    for arguments, complaint in {
        (tmp_path / "none",): "this is not the folder of a run",
        (imported,): "the model was imported and has no data; profile a run that you train",
        (imported, "--steps", 0): "translates a file of yours by --steps 0 --file FILE",
        (counting_run, "--sentences", 3): "this run does not translate",
        (counting_run, "--greedy"): "this run does not translate",
        (reverse_run, "--steps", 0, "--sentences", 0): "there is nothing to profile",
    }.items():
        result = whyformer("profile", *arguments)
        assert (result.exit_code, result.stdout) == (2, ""), arguments
        assert complaint in result.stderr
