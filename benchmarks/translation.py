"""Translating a test set, ours beside CTranslate2 and Hugging Face: same weights, taking turns in one run.

    python benchmarks/translation.py [RUN] [--size tiny] [--batch 1] [--beam 5] [--sentences 200] [--rounds 5]
                                     [--seconds 100] [--device cuda]

RUN is a trained translator with a joint tokenizer. Without it a model of --size gets fresh weights; they
never end a sentence, so all write as many tokens as a reference has on average. Text goes in and comes out
everywhere. Hypotheses are ranked by their log-probability alone: each toolkit has another length penalty.

Our weights go to Marian by `whyformer export`, and from there to CTranslate2 by its own converter. The end
of an arm's name tells how it uses the cores: a batch at a time by 1 or 2 threads (t1, t2), two at a time by a
thread each (s2), or two processes of one thread (p2). On a GPU there is one way, and ours is in fp32. Arms
called "listed" look for translations among a shortlist made from the training data, ours and CTranslate2's
(use_vmap) by the same table: ours gives each sentence its own list, and one with a rare piece the whole
vocabulary; there a batch shares one. Before anything is timed all arms translate everything, and what equals
ours in fp32 is counted: who has less than the share that AGREED asks for is left out.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

from arms import Arms, Run, Start, Turn, alternate, started
from multi30k import data_options, prepared_by
from report import Spread, bars, machine, publish, ratios
from translators import Work, ct2, hf, ours

from whyformer.data.corpora.pair_files import Referenced
from whyformer.data.corpora.parallel import load_corpus, load_held_out
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.engines.shortlist.table import ShortlistTable
from whyformer.errors import DataError
from whyformer.huggingface.formats.marian import HuggingFaceMarian
from whyformer.huggingface.transfer import export_model
from whyformer.runs.distillation.shortlist import ListSize, shortlist_data
from whyformer.runs.load import open_run, read_recipe
from whyformer.runs.shortlist_file import save_shortlist
from whyformer.special_tokens import NAMES
from whyformer.tasks.translation.scores.metrics import score
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
ON_GPU = {"ours": ("fp32",), "ct2": ("float32", "float16"), "hf": ("fp32", "bf16")}
"""Precisions on a GPU; ours has no other than fp32 there."""
HOW = {"t1": (1, 1, 1), "t2": (2, 1, 1), "s2": (1, 2, 1), "p2": (1, 1, 2)}
"""Threads of a batch, batches at a time, processes."""
FIRST = "ours-fp32-torch-t2"
"""What the others are compared with."""
USUAL = [
    *("ours-*-t2", "ours-int8-*-t1", "ours-int8-*-s2", "ours-int8-native-p2"),
    *("ct2-int8-t1", "ct2-int8-[sp]2", "ct2-int8-listed-*", "hf-*"),
]
"""Few enough to wait in memory together at base. Left out are, above all, CTranslate2's types beside int8."""


AGREED = {"fp32": 0.9, "float32": 0.9}
"""Share of translations that has to equal ours in fp32, by precision. They differ where a tie is decided by
rounding, and where one writes a word for the unknown token."""
AGREED_ROUNDED = 0.5
"""The same for all others, whose weights or products are rounded, which changes words of close rivals."""


def main() -> None:
    """Read the arguments, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", type=Path)
    data_options(parser)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--beam", type=int, default=1, help="1 = greedy")
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--arms", nargs="+", default=USUAL, help="names or patterns; '*' takes all")
    parser.add_argument("--seconds", type=float, help="begin no round that would end later")
    asked = parser.parse_args()
    until = None if asked.seconds is None else time.perf_counter() + asked.seconds
    if asked.run is not None and not asked.run.exists():
        sys.exit(f"{asked.run} is not there; train it first, or leave it out.")
    with tempfile.TemporaryDirectory() as folder:
        try:
            work, pairs = prepared(asked, Path(folder))
        except DataError as error:
            sys.exit(f"translation is left out: {error}")
        pairs = pairs[: asked.sentences]
        if asked.batch > 1:
            pairs.sort(key=lambda pair: len(pair.source.split()))
        starts = {
            name: start
            for name, start in (arms_of(work) if asked.device == "cpu" else arms_on_gpu(work)).items()
            if name == FIRST or asked.device != "cpu" or any(fnmatch(name, pattern) for pattern in asked.arms)
        }
        name = asked.run.name if asked.run else f"fresh-{asked.size}"
        measure(work, starts, pairs, asked.rounds, name, until)


def prepared(asked: argparse.Namespace, folder: Path) -> tuple[Work, list[Referenced]]:
    """Everything that the arms read, in ``folder``; and the sentences."""
    run, path = asked.run, folder / "run"
    if run is None:
        prepared_by(asked, folder)
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
    lists = None
    # They take a minute to make, and are for the arms that are called so.
    if any("listed" in arm or arm == "*" for arm in asked.arms):
        data, size = shortlist_data(load_corpus(recipe.data), tokenizers), ListSize()
        table = data.table(size.frequent, size.each, size.rare)
        save_shortlist(opened.folder, table)
        lists = folder / "vmap"
        lists.write_text(vmap(table, folder / "marian"), encoding="utf-8")
    try:
        from ctranslate2.converters import TransformersConverter

        converter = TransformersConverter(str(folder / "marian"))
        converter.convert(str(folder / "ctranslate2"), None if lists is None else str(lists))
    except ImportError as error:
        # Its arms will fail, and say so.
        print(f"nothing is converted for CTranslate2: {error}", file=sys.stderr)
    limit = recipe.model.longest - 1
    return Work(folder, path, asked.batch, asked.beam, forced, limit, asked.device), pairs


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


def arms_on_gpu(work: Work) -> dict[str, Start]:
    """All arms on a GPU, each a batch at a time; the first is called as on the CPU."""
    makes: dict[str, Callable[..., Run]] = {"ours": ours, "ct2": ct2, "hf": hf}
    starts: dict[str, Start] = {}
    for name, kinds in ON_GPU.items():
        for kind in kinds:
            told = {"ours": ("torch", "all"), "ct2": ("all",), "hf": ()}[name]
            arm = FIRST if name == "ours" else f"{name}-{kind}"
            starts[arm] = Start(makes[name], (work, kind, *told, 1, 1))
    return starts


def measure(
    work: Work,
    starts: dict[str, Start],
    pairs: list[Referenced],
    rounds: int,
    name: str,
    until: float | None,
) -> None:
    """Start the arms, compare what they write, let them take turns, publish."""
    about = machine(os.cpu_count() or 1)
    about["work"] = f"{name}, {len(pairs)} sentences, batch {work.batch}, beam {work.beam}" + (
        f", {work.forced} tokens each" if work.forced else ""
    )
    about["agreement"] = (
        f"at least {AGREED['fp32']:.0%} of translations equal to {FIRST}, {AGREED_ROUNDED:.0%} if rounded"
    )
    sources = [pair.source for pair in pairs]
    with started(starts) as arms:
        # The first has to be there, or nobody could be compared.
        first = {arm: in_order(each[0]) for arm, each in alternate(arms, [sources]).items()}
        equal = compared(arms, first, work.forced is not None)

        def tell(turns: dict[str, list[Turn]], done: bool = False) -> None:
            turns = {arm: each for arm, each in turns.items() if arm in equal}
            rates = {arm: [len(sources) / turn.seconds for turn in each] for arm, each in turns.items()}
            rows = [row_of(work, arm, turns[arm], rates, equal[arm]) for arm in rates]
            chart = None
            if done and rows:
                spreads = [(arm, Spread.of(rate)) for arm, rate in rates.items()]
                chart = bars(spreads, "sentences per second", about["work"])
                for row in rows:
                    texts = [text for text, _ in first[row["arm"]]]
                    row["BLEU"] = "-" if work.forced else bleu(work, texts, pairs)
            if rows:
                told = {arm: [turn.seconds for turn in each] for arm, each in turns.items()}
                where = "" if work.device == "cpu" else f"-{work.device}"
                stem = f"translation-{name}{where}-batch{work.batch}-beam{work.beam}"
                publish(stem, about | arms.told(), rows, told, chart, done=done)

        tell(alternate(arms, [sources] * rounds, until=until, told=tell), done=True)


def compared(
    arms: Arms, first: dict[str, list[tuple[str, tuple[int, ...]]]], fresh: bool = False
) -> dict[str, float]:
    """The share of translations that equals ours in fp32, by arm; who has too few is left out of ``arms``."""
    if FIRST not in first:
        sys.exit(f"{FIRST} has failed, with which all are compared: {arms.left_out.get(FIRST)}")
    shares: dict[str, float] = {}
    for arm, translations in first.items():
        same = [mine[1] == theirs[1] for mine, theirs in zip(translations, first[FIRST], strict=True)]
        shares[arm] = statistics.mean(same)
        # Fresh weights write what no list has: of lists they tell the speed alone.
        is_other = "listed" in arm and fresh
        needed = 0.0 if is_other else AGREED.get(arm.split("-")[1], AGREED_ROUNDED)
        if shares[arm] < needed:
            arms.leave_out(
                arm, f"{shares[arm]:.1%} of its translations equal those of {FIRST}; {needed:.0%} are asked"
            )
    return {arm: share for arm, share in shares.items() if arm in arms}


def row_of(
    work: Work, arm: str, turns: list[Turn], rates: dict[str, list[float]], equal: float
) -> dict[str, str]:
    """One row of the table."""
    tokens = [sum(len(ids) for done in turn.answers for ids in done.tokens) / turn.seconds for turn in turns]
    row = {
        "arm": arm,
        "sentences/s": Spread.of(rates[arm]).text(1),
        "tokens/s": f"{statistics.median(tokens):,.0f}",
    }
    if work.batch == 1:
        latencies = [1000 * each for turn in turns for done in turn.answers for each in done.seconds]
        row["p50 ms"] = f"{statistics.median(latencies):.1f}"
        row["p95 ms"] = f"{statistics.quantiles(latencies, n=20)[18]:.1f}"
    for title, prefix in (("x fastest ct2", "ct2-"), ("x fastest hf", "hf-")):
        ratio = ratios(rates, arm, [peer for peer in rates if peer.startswith(prefix)])
        row[title] = ratio.text(2) if ratio else "-"
    return row | {"equal %": f"{100 * equal:.1f}", "rounds": f"{len(turns)}"}


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
