"""Translating a test set, ours beside CTranslate2 and Hugging Face: same weights, taking turns in one run.

    python benchmarks/translation.py [RUN] [--size tiny] [--batch 1] [--beam 5] [--sentences 200] [--rounds 5]

RUN is a trained translator with a joint tokenizer. Without it a model of --size gets fresh weights; they
never end a sentence, so all write as many tokens as a reference has on average. Text goes in and comes out
everywhere. Hypotheses are ranked by their log-probability alone: each toolkit has another length penalty.

Our weights go to Marian by `whyformer export`, and from there to CTranslate2 by its own converter. The end
of an arm's name tells how it uses the cores: a batch at a time by 1 or 2 threads (t1, t2), two at a time by a
thread each (s2), or two processes of one thread (p2). Arms
called "listed" look for translations among a shortlist made from the training data, ours and CTranslate2
(use_vmap) by the same table: ours gives each sentence its own list, and one with a rare piece the whole
vocabulary; there a batch shares one. Before anything is timed all arms translate everything, and what
equals ours in fp32 is counted.
"""

import argparse
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

from arms import Run, Start, Turn, alternate, started
from multi30k import SIZES, begun
from report import Spread, bars, machine, publish, ratios

from engines import Work, ct2, hf, ours
from whyformer.data.corpora.pair_files import Referenced
from whyformer.data.corpora.parallel import load_corpus, load_held_out
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.engines.shortlist.table import ShortlistTable
from whyformer.errors import DataError
from whyformer.huggingface.formats.marian import HuggingFaceMarian
from whyformer.huggingface.transfer import export_model
from whyformer.runs.load import open_run, read_recipe
from whyformer.runs.shortlist import ListSize, shortlist_data
from whyformer.special_tokens import NAMES
from whyformer.tasks.translation.metrics import score
from whyformer.tasks.translation.shortlist import save_shortlist
from whyformer.tasks.translation.task import TranslationRecipe

OURS = [
    *(("fp32", "torch"), ("bf16", "torch"), ("int8", "torch")),
    *(("fp32", "native"), ("int8", "native")),
    ("int8", "ctranslate2"),
]
"""Precision and engine."""
LISTED = [("fp32", "torch"), ("int8", "native")]
"""Those that also search among a shortlist."""
CT2: dict[str, dict[str, str]] = {
    **{kind: {} for kind in ("int8", "int8_float32", "int16", "float32")},
    "int8-mkl": {"CT2_USE_MKL": "1"},
    "int8-mkl-packed": {"CT2_USE_MKL": "1", "CT2_PACKED_GEMM": "1"},
}
"""Its compute types, and what else makes it faster on some machines."""
HOW = {"t1": (1, 1, 1), "t2": (2, 1, 1), "s2": (1, 2, 1), "p2": (1, 1, 2)}
"""Threads of a batch, batches at a time, processes."""
FIRST = "ours-fp32-torch-t2"
"""What the others are compared with."""
USUAL = [
    *("ours-*-t2", "ours-int8-*-t1", "ours-int8-*-s2", "ours-int8-native-p2"),
    *("ct2-int8-t1", "ct2-int8-[sp]2", "ct2-int8-listed-*", "hf-*"),
]
"""Few enough to wait in memory together at base. Left out are, above all, CTranslate2's types beside int8."""


def main() -> None:
    """Read the arguments, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--beam", type=int, default=1, help="1 = greedy")
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--arms", nargs="+", default=USUAL, help="names or patterns; '*' takes all")
    asked = parser.parse_args()
    if asked.run is not None and not asked.run.exists():
        print(f"{asked.run} is not there; train it first, or leave it out.")
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            work, pairs = prepared(asked.run, asked.size, Path(folder), asked.batch, asked.beam)
        except DataError as error:
            print(f"translation is left out: {error}")
            return
        pairs = pairs[: asked.sentences]
        if asked.batch > 1:
            pairs.sort(key=lambda pair: len(pair.source.split()))
        starts = {
            name: start
            for name, start in arms_of(work).items()
            if name == FIRST or any(fnmatch(name, pattern) for pattern in asked.arms)
        }
        measure(work, starts, pairs, asked.rounds, asked.run.name if asked.run else f"fresh-{asked.size}")


def prepared(
    run: Path | None, size: str, folder: Path, batch: int, beam: int
) -> tuple[Work, list[Referenced]]:
    """Everything that the arms read, in ``folder``; and the sentences."""
    from ctranslate2.converters import TransformersConverter

    path = folder / "run"
    if run is None:
        begun(size, folder)
    else:
        # An engine may keep a converted model in the run; it shall not be the user's.
        path.mkdir()
        for file in (run / "recipe.yaml", run / "model.safetensors", *run.glob("tokenizer*.json")):
            shutil.copy(file, path)
    opened = open_run(path)
    recipe, tokenizers = opened.recipe, opened.assets
    assert isinstance(tokenizers, TokenizerPair)
    assert isinstance(recipe, TranslationRecipe), "this run does not translate"
    assert recipe.data is not None, "this run has no data"
    pairs = next(iter(load_held_out(recipe.data).values()))
    lengths = map(len, tokenizers.target.encode_all([pair.references[0] for pair in pairs]))
    forced = round(statistics.mean(lengths)) if run is None else None
    print(export_model(path, folder / "marian"))
    data = shortlist_data(load_corpus(recipe.data), tokenizers)
    size = ListSize()
    table = data.table(size.frequent, size.each, size.rare)
    save_shortlist(opened.folder, table)
    (folder / "vmap").write_text(vmap(table, folder / "marian"), encoding="utf-8")
    TransformersConverter(str(folder / "marian")).convert(str(folder / "ctranslate2"), str(folder / "vmap"))
    return Work(folder, path, batch, beam, forced, recipe.model.longest - 1), pairs


def vmap(table: ShortlistTable, marian: Path) -> str:
    """``table`` as CTranslate2's vocabulary map: lines of a source piece, a tab and its target pieces.

    The first line has no source piece, and what is in every list. ``marian`` has the tokenizer whose names
    for pieces it uses.
    """
    from tokenizers import Tokenizer

    names = Tokenizer.from_file(str(marian / "tokenizer.json"))
    theirs = HuggingFaceMarian().own_token_ids(table.vocabulary).theirs
    name = [None if id is None else names.id_to_token(id) for id in theirs]

    def line(piece: str, targets: Iterable[int]) -> str:
        return f"{piece}\t{' '.join(each for id in targets if (each := name[id]) is not None)}\n"

    lines = [line("", [*range(len(NAMES)), *table.frequent.tolist()])]
    for piece, (first, last) in enumerate(pairwise(table.first.tolist())):
        if (known := name[piece]) is not None and piece >= len(NAMES):
            lines.append(line(known, [piece, *table.target[first:last].tolist()]))
    return "".join(lines)


def arms_of(work: Work) -> dict[str, Start]:
    """All arms: for sentences one at a time, or for batches."""
    starts: dict[str, Start] = {}

    def add(name: str, make: Callable[..., Run], *kind: str, **environment: str) -> None:
        for how in ("t1", "t2") if work.batch == 1 else ("t2", "s2", "p2"):
            # generate() takes one batch at a time, and CTranslate2 is slowed down by a second thread.
            if (make, how) in ((hf, "s2"), (ct2, "t2")):
                continue
            threads, parallel, processes = HOW[how]
            told = {"OMP_NUM_THREADS": str(threads), **environment}
            starts[f"{name}-{how}"] = Start(make, (work, *kind, threads, parallel), told, processes)

    for precision, engine in OURS:
        add(f"ours-{precision}-{engine}", ours, precision, engine, "all")
    for precision, engine in LISTED:
        add(f"ours-{precision}-{engine}-listed", ours, precision, engine, "listed")
    for kind in ("fp32", "bf16"):
        add(f"hf-{kind}", hf, kind)
    for name, environment in CT2.items():
        add(f"ct2-{name}", ct2, name.partition("-")[0], "all", **environment)
    add("ct2-int8-listed", ct2, "int8", "listed")
    return starts


def measure(work: Work, starts: dict[str, Start], pairs: list[Referenced], rounds: int, name: str) -> None:
    """Start the arms, compare what they write, let them take turns, publish."""
    about = machine(os.cpu_count() or 1)
    sources = [pair.source for pair in pairs]
    with started(starts) as arms:
        first = {arm: in_order(each[0]) for arm, each in alternate(arms, [sources]).items()}
        turns = alternate(arms, [sources] * rounds)
    rates = {arm: [len(sources) / turn.seconds for turn in each] for arm, each in turns.items()}
    rows: list[dict[str, str]] = []
    for arm, rate in rates.items():
        tokens = [
            sum(len(ids) for done in turn.answers for ids in done.tokens) / turn.seconds
            for turn in turns[arm]
        ]
        row = {
            "arm": arm,
            "sentences/s": Spread.of(rate).text(1),
            "tokens/s": f"{statistics.median(tokens):,.0f}",
        }
        if work.batch == 1:
            latencies = [1000 * each for turn in turns[arm] for done in turn.answers for each in done.seconds]
            row["p50 ms"] = f"{statistics.median(latencies):.1f}"
            row["p95 ms"] = f"{statistics.quantiles(latencies, n=20)[18]:.1f}"
        for title, prefix in (("x fastest ct2", "ct2-"), ("x fastest hf", "hf-")):
            ratio = ratios(rates, arm, [peer for peer in rates if peer.startswith(prefix)])
            row[title] = ratio.text(2) if ratio else "-"
        same = [mine[1] == theirs[1] for mine, theirs in zip(first[arm], first[FIRST], strict=True)]
        row["equal %"] = f"{100 * statistics.mean(same):.1f}"
        row["BLEU"] = "-" if work.forced else bleu(work, [text for text, _ in first[arm]], pairs)
        rows.append(row)
    about["work"] = (
        f"{name}, {len(sources)} sentences, batch {work.batch}, beam {work.beam}, {rounds} rounds"
        + (f", {work.forced} tokens each" if work.forced else "")
    )
    stem = f"translation-{name}-batch{work.batch}-beam{work.beam}"
    told = {arm: [turn.seconds for turn in each] for arm, each in turns.items()}
    chart = bars(
        [(arm, Spread.of(rate)) for arm, rate in rates.items()], "sentences per second", about["work"]
    )
    publish(stem, about, rows, told, chart)


def in_order(turn: Turn) -> list[tuple[str, tuple[int, ...]]]:
    """Text and ids of each translation in the order of the sentences, which several processes have shared."""
    parts = [list(zip(done.texts, done.tokens, strict=True)) for done in turn.answers]
    return [parts[index % len(parts)][index // len(parts)] for index in range(sum(map(len, parts)))]


def bleu(work: Work, texts: Sequence[str], pairs: Sequence[Referenced]) -> str:
    """BLEU as the run's recipe counts it."""
    recipe = read_recipe(work.run)
    assert isinstance(recipe, TranslationRecipe)
    return f"{score(texts, [pair.references for pair in pairs], recipe.scoring)[0].value:.2f}"


if __name__ == "__main__":
    main()
