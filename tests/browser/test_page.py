"""The page of a run as a folder: what is in it, what it leaves out and refuses, and what it never harms."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from browser.javascript import NODE, needs_node, run_modules
from whyformer import files
from whyformer.browser import page
from whyformer.browser.bundle import MODULES
from whyformer.browser.examples import short_sources
from whyformer.browser.page import write_run_page
from whyformer.cli.main import app
from whyformer.data.corpora.parallel import FilesSpec
from whyformer.decoding.search import SearchSpec
from whyformer.engines.webassembly import build
from whyformer.engines.webassembly.model_file import model_bytes
from whyformer.errors import CheckpointError, DecodingError, WhyformerError, WhyformerNote
from whyformer.plots.chart import HTML_LANG, Language
from whyformer.plots.inspection.bitmap import COLORS, DARK_COLORS, STOPS
from whyformer.plots.inspection.tokens import percent, token_label
from whyformer.runs.load import load_as
from whyformer.tasks.translation.translator import Translator

FILES = ["index.html", "style.css", "script.js", "engine.js", "model.js"]
COMPONENTS = MODULES / "components"
needs_engine = pytest.mark.skipif(
    build.missing_engine() is not None, reason=build.missing_engine() or "the engine is there"
)


def data_of(folder: Path, name: str) -> Any:
    """What a file of data brings."""
    text = (folder / f"{name}.js").read_text(encoding="utf-8")
    return json.loads(text.partition(f".{name} = ")[2].removesuffix(";\n"))


@pytest.fixture(scope="module")
def written(reverse_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "page"
    write_run_page(reverse_run, folder)
    return folder


@needs_engine
def test_a_page_has_everything_that_it_needs(written: Path, reverse_run: Path):
    assert sorted(path.name for path in written.iterdir()) == sorted(FILES)
    model, run = data_of(written, "model"), load_as(Translator, reverse_run)
    assert base64.b64decode(data_of(written, "engine")) == build.ENGINE.read_bytes()
    assert base64.b64decode(model["weights"]) == model_bytes(run.model)
    assert set(model["tokenizers"]) == {"source", "target"}
    assert model["decoding"]["kind"] == "beam"
    assert model["decoding"]["size"] == 5
    assert model["run"]["name"] == "reverse"
    assert model["run"]["parameters"] == sum(each.numel() for each in run.model.parameters())
    assert 1 <= len(model["run"]["examples"]) <= 6
    assert all(re.fullmatch(r"[0-4]( [0-4])+", text) for text in model["run"]["examples"])


@needs_engine
def test_sizes_are_those_of_the_files(reverse_run: Path, tmp_path: Path):
    sizes = write_run_page(reverse_run, tmp_path / "page")
    assert sizes == {name: (tmp_path / "page" / name).stat().st_size for name in FILES}
    shared = sum(size for name, size in sizes.items() if name != "model.js")
    # Of 3 MB for a whole page, this is the part that no model can help.
    assert shared <= 500_000


@needs_engine
def test_nothing_is_fetched_from_elsewhere(written: Path):
    for name in ("index.html", "style.css", "script.js"):
        text = (written / name).read_text(encoding="utf-8")
        assert {*re.findall(r"https?://[^\"'`\s)]+", text)} <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(
            r"\bfetch\(|XMLHttpRequest|@import|SharedArrayBuffer|innerHTML|outerHTML", text
        ), name


@needs_engine
def test_a_page_is_renewed_and_what_lies_beside_it_stays(reverse_run: Path, tmp_path: Path):
    write_run_page(reverse_run, tmp_path)
    first = (tmp_path / "model.js").read_bytes()
    (tmp_path / "model.js").write_bytes(first[:300])
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    write_run_page(reverse_run, tmp_path)
    assert (tmp_path / "model.js").read_bytes() == first
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "notes.txt"])


@pytest.mark.parametrize("name", FILES)
def test_what_no_page_has_brought_is_never_overwritten(name: str, reverse_run: Path, tmp_path: Path):
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(
        WhyformerError, match=f"{name}: is in the way and was not written by `whyformer page`"
    ):
        write_run_page(reverse_run, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


@needs_engine
def test_a_full_disk_leaves_the_page_that_was_there(
    reverse_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "page"
    write_run_page(reverse_run, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    sync, calls = files.os.fsync, list[int]()

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        # The first two are the trial of the folder and the first file.
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(page, "_template", lambda name: f"{name} anew {page._MARK}")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(WhyformerError, match="the disk is full"):
        write_run_page(reverse_run, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@needs_engine
def test_a_file_where_the_folder_should_be_is_told(reverse_run: Path, tmp_path: Path):
    (tmp_path / "page").write_text("mine", encoding="utf-8")
    with pytest.raises(WhyformerError, match="page"):
        write_run_page(reverse_run, tmp_path / "page")
    assert (tmp_path / "page").read_text(encoding="utf-8") == "mine"


def test_without_the_engine_nothing_is_written(
    reverse_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(page, "missing_engine", lambda: "the engine was not compiled; compile it.")
    with pytest.raises(DecodingError, match="compile it"):
        write_run_page(reverse_run, tmp_path / "page")
    assert not (tmp_path / "page").exists()


@needs_engine
def test_what_the_engine_does_not_take_is_refused_by_field(reverse_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(reverse_run, run)
    recipe = (run / "recipe.yaml").read_text(encoding="utf-8")
    (run / "recipe.yaml").write_text(recipe.replace("kind: relu", "kind: silu", 1), encoding="utf-8")
    with pytest.raises(DecodingError, match=r"model\.encoder\.block\.feed_forward\.kind"):
        write_run_page(run, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_run_that_does_something_else_is_refused(counting_run: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match="use `whyformer generate"):
        write_run_page(counting_run, tmp_path / "page")


COMMON = {"longest_extra": 7, "forbidden": [0, 1, 2], "no_repeat_ngram": 3}


def settings_of(**said: object) -> SearchSpec:
    adapter: TypeAdapter[SearchSpec] = TypeAdapter(SearchSpec)
    return adapter.validate_python({**COMMON, **said})


@pytest.mark.parametrize(
    ("settings", "kept", "field"),
    [
        (settings_of(kind="greedy"), {"kind": "greedy"}, None),
        (settings_of(kind="beam", size=3), {"kind": "beam", "size": 3, "length_penalty": 0.6}, None),
        (settings_of(kind="beam", size=12), {"kind": "beam", "size": 12}, "size is 12"),
        (settings_of(kind="beam", coverage_penalty=0.4), {"kind": "beam"}, "coverage_penalty is 0.4"),
        (
            settings_of(kind="beam", ranking={"kind": "minimum_bayes_risk"}),
            {"kind": "beam"},
            "ranking is minimum_bayes_risk",
        ),
        (settings_of(kind="greedy", prefix=(5, 6)), {"kind": "greedy"}, r"prefix is \[5, 6\]"),
        (
            settings_of(kind="greedy", openings=((5,), (6,))),
            {"kind": "greedy"},
            r"openings is \[\[5\], \[6\]\]",
        ),
        (settings_of(kind="sampling", temperature=0.5), {"kind": "greedy"}, "kind is sampling"),
    ],
)
def test_what_a_page_leaves_out_of_the_search_is_told(
    settings: SearchSpec, kept: dict[str, object], field: str | None
):
    if field is None:
        found = page._decoding(settings)
    else:
        with pytest.warns(WhyformerNote, match=rf"decoding\.{field} in the recipe, which the page does not"):
            found = page._decoding(settings)
    assert {**found, **kept, **COMMON} == found
    assert not {"coverage_penalty", "ranking", "prefix", "openings", "temperature", "samples"} & {*found}


def test_examples_are_never_bought_by_reading_all_training_data(tmp_path: Path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"source {n}\ttarget {n}\n" for n in range(40)), encoding="utf-8")
    tests = tmp_path / "test.tsv"
    tests.write_text("long " * 30 + "\tx\nb c\ty\n\tz\na\tx\na\ty\n", encoding="utf-8")
    shares = FilesSpec.model_validate({"train": str(pairs)})
    assert short_sources(shares) == []
    named = FilesSpec.model_validate({"train": str(pairs), "test": {"mine": str(tests)}})
    assert short_sources(named) == ["a", "b c"]
    tests.unlink()
    assert short_sources(named) == []
    assert short_sources(None) == []


@needs_engine
@pytest.mark.parametrize(("lang", "told"), [("en", "in a browser"), ("zh", "请用浏览器打开")])
def test_the_verb_names_the_page_and_its_size(lang: Language, told: str, reverse_run: Path, tmp_path: Path):
    done = CliRunner().invoke(app, ["page", str(reverse_run), "--to", str(tmp_path / "page"), "--lang", lang])
    assert done.exit_code == 0, done.output
    assert told in done.output
    assert str(tmp_path / "page" / "index.html") in done.output
    html = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert f'<html lang="{HTML_LANG[lang]}">' in html


def sources() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in COMPONENTS.glob("*.js")}


@needs_node
def test_both_languages_have_the_same_words(tmp_path: Path):
    program = 'import { WORDS } from "./components/words.js";\ntell(WORDS);'
    words = run_modules(tmp_path, program, None)
    english, chinese = words["en"], words["zh"]
    assert set(english) == set(chinese)
    for key in english:
        holes = [sorted(re.findall(r"\{\w+\}", text)) for text in (english[key], chinese[key])]
        assert holes[0] == holes[1], key
    used = {key for text in sources().values() for key in re.findall(r'say(?:In\(lang,|\() ?"(\w+)"', text)}
    assert used
    assert used <= set(english)
    # Names that are put together where they are used.
    parts = "place|mask|preset|sees|fate|told|column|shown|fault"
    unused = {key for key in english if not re.match(rf"({parts})_", key)} - used
    together = "\n".join(text for name, text in sources().items() if name != "words.js")
    assert [key for key in unused if f'"{key}"' not in together] == []


def test_colours_are_those_of_the_attention_page():
    text = sources()["colors.js"]
    found = {
        name: json.loads(value)
        for name, value in re.findall(r"^export const (DAY|NIGHT|STOPS) = (\[.*?\]);$", text, re.MULTILINE)
    }
    assert found == {"DAY": [*COLORS], "NIGHT": [*DARK_COLORS], "STOPS": [*STOPS]}


@needs_node
def test_labels_are_those_of_the_attention_page(tmp_path: Path):
    tokens = ["▁in", ",", "。", "▁", "a b", "\n", "", "</s>", "…", "▁“", "x" * 40, "日星期日"]
    shares = [0.0, 0.5, 0.9996, 1e-5, 1.0, 0.106, 0.0149, 0.99]
    program = """
    import { percentLabel, rowLabel, tokenLabel } from "./components/labels.js";
    const { tokens, shares } = cases;
    tell([
      tokens.map((token) => ["en", "zh"].map((lang) => tokenLabel(token, lang))),
      shares.map(percentLabel),
      rowLabel("▁a", ",", "zh"),
    ]);
    """
    found = run_modules(tmp_path, program, {"tokens": tokens, "shares": shares})
    assert found[0] == [[token_label(token, "en"), token_label(token, "zh")] for token in tokens]
    assert found[1] == [*map(percent, shares)]
    assert found[2] == "·a → 「,」"


@needs_node
def test_a_link_brings_back_what_is_shown(tmp_path: Path):
    program = """
    import { fromLink, toLink } from "./components/link.js";
    import { withHeads, withMask, wholeLens, lensText } from "./components/lens.js";
    const heads = { "encoder self": [2, 2], "decoder self": [2, 2], cross: [2, 2] };
    const defaults = { search: { kind: "beam", size: 4 } };
    let lens = withHeads(wholeLens(), [["cross", 1, 0], ["encoder self", 0, 1]], true);
    lens = withMask(lens, "decoder self", "two");
    const state = { lang: "zh", text: "a & b #=中", search: { kind: "greedy" }, lens, own: "x+y", step: 3 };
    const link = toLink(state, defaults);
    const odd = ["", "#main", "#lens=x9.1,q1.1,x1.9,x0.0,:,x:nothing,x:constructor", "#search=beam99",
      "#step=-1&lang=fr", "#text=%E0%A4%A"];
    tell([fromLink(link, heads), state, lensText(lens), odd.map((each) => fromLink(each, heads))]);
    """
    back, state, text, odd = run_modules(tmp_path, program, None)
    for each in (back, state):
        each["lens"]["ablated"].sort(key=str)
    assert back == state
    assert text == "e1.2,x2.1;d:two"
    whole = {"ablated": [], "masks": {}}
    assert odd[:5] == [{}, {}, {"lens": whole}, {}, {}]


@needs_node
def test_masks_are_the_usual_ones_first_and_presets_only_break_what_is_there(tmp_path: Path):
    program = """
    import { MASKS, isWhole, maskName, presetLenses } from "./components/lens.js";
    import { withHeads, withMask, wholeLens } from "./components/lens.js";
    const heads = { "encoder self": [2], "decoder self": [2, 2], cross: [2, 3] };
    const lens = withHeads(wholeLens(), [["cross", 0, 1]], true);
    tell({
      usual: Object.entries(MASKS).map(([place, masks]) => [place, Object.values(masks)[0]]),
      presets: presetLenses(heads),
      mended: isWhole(withMask(withHeads(lens, [["cross", 0, 1]], false), "cross", "everything")),
      name: maskName(withMask(lens, "encoder self", "causal"), "encoder self"),
    });
    """
    found = run_modules(tmp_path, program, None)
    assert dict(found["usual"]) == {
        "cross": [None, None],
        "decoder self": [None, 0],
        "encoder self": [None, None],
    }
    assert found["mended"]
    assert found["name"] == "causal"
    presets = found["presets"]
    last = [{"place": "cross", "layer": 1, "head": head} for head in range(3)]
    assert presets["last"] == {"ablated": last, "masks": {}}
    assert len(presets["blind"]["ablated"]) == 5
    assert presets["alone"] == {"ablated": [], "masks": {"encoder self": [0, 0]}}
    assert presets["forgetful"] == {"ablated": [], "masks": {"decoder self": [0, 0]}}


@needs_node
@needs_engine
def test_the_script_is_a_script(written: Path):
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--check", written / "script.js"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
