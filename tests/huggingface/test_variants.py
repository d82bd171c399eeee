"""Every folder of the table in docs/exchange.md is built, imported, compared and exported again."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import whyformer
from huggingface.examples import SENTENCES, renumbered, written
from huggingface.variants import (
    BERTS,
    CLASSIFIERS,
    GPT2S,
    MARIANS,
    OTHERS,
    ROBERTA,
    ROBERTAS,
    Build,
    Variant,
    gpt2,
    marian,
    marian_json,
    pre_norm,
    roberta,
    word_piece_gpt2,
)
from parity import needs_transformers, transformers
from whyformer.data.tokenizers.imported import Imported, prompt_tokens
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import CheckpointError, WhyformerError
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.huggingface.transfer import export_model, import_model
from whyformer.position.layout import Layout
from whyformer.runs.load import open_run
from whyformer.special_tokens import BOS, EOS, PAD
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.embedding.encoder import encoder

pytestmark = [
    needs_transformers,
    # Their Marian normalises punctuation only with a package that is not needed.
    pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses"),
]

EVERY_RUN = {
    ("GPT-2", "a head of its own in the file, about which `config.json` says nothing"),
    ("GPT-2", "308 and more rows for 300 tokens: padded embeddings"),
    ("GPT-2", "keys under `module._orig_mod.`"),
    ("GPT-2", "`bos_token_id` and `eos_token_id` 50256, the tokenizer names its own"),
    ("GPT-2", "`add_prefix_space: true` beside files"),
    ("GPT-2", "`num_beams`, `max_new_tokens`, `no_repeat_ngram_size` in `generation_config.json`"),
    ("BERT", "U+2028, U+0085 and U+3000 as pieces of `vocab.txt`"),
    ("BERT", "the same piece twice in `vocab.txt`"),
    ("BERT", "`hidden_act: gelu_fast`"),
    ("BERT", "`tokenizer_class: BertJapaneseTokenizer`"),
    ("RoBERTa", "`vocab.json` and `merges.txt`"),
    ("Marian", "`bos_token_id: 0`"),
    ("Marian", "two vocabularies, and a head of its own"),
    ("classifier", "`DistilBertForSequenceClassification`"),
}
"""Those that every run of the tests builds; the others are slow."""
TABLE = Path(__file__).parents[2] / "docs" / "exchange.md"
VARIANTS = [*GPT2S, *BERTS, *ROBERTAS, *MARIANS, *CLASSIFIERS, *OTHERS]
TEXTS = [*SENTENCES[:12], "  two  spaces, <|endoftext|> & [MASK]", "naïve Ünïcode 一位老师", "x"]
CPU = torch.device("cpu")


def ids_there(tokenizer: Tokenizer) -> list[int | None]:
    origin = Imported.model_validate(tokenizer.spec)
    return TokenIds(origin.ids, tokenizer.size, origin.strays).theirs


def same_tokens(encoded: Sequence[Sequence[int]], theirs: list[int | None], told: list[list[int]]) -> None:
    assert renumbered(encoded, theirs) == told


def compared(actual: Tensor, expected: Tensor, theirs: list[int | None], *, padding: bool = True) -> float:
    """Largest difference of logits (…,V), ours and theirs, over the tokens that both have."""
    kept = [id for id, other in enumerate(theirs) if other is not None and id > PAD]
    there = [theirs[id] for id in kept]
    # A token of theirs that is both start and end is predicted as the end.
    pairs = [
        (id, other)
        for id, other in zip(kept, there, strict=True)
        if not (id == BOS and other in there[kept.index(EOS) :])
    ]
    mine, others = zip(*pairs, strict=True)
    return float((actual[..., list(mine)] - expected[..., list(others)]).abs().max())


def check_generator(folder: Path, run: Path, model: Any) -> float:
    generator: Any = whyformer.load(run, device="cpu")
    assert isinstance(generator, Generator)
    tokenizer, theirs = transformers.AutoTokenizer.from_pretrained(folder), ids_there(generator.tokenizer)
    texts = [text for text in TEXTS if "<|" not in text and "[MASK]" not in text]
    encoded = [prompt_tokens(generator.tokenizer, ids) for ids in generator.tokenizer.encode_all(texts)]
    told = tokenizer(texts)["input_ids"]
    # What a tokenizer puts behind a text has no place behind a prompt.
    closes = tokenizer.sep_token_id is not None and told[0][-1] == tokenizer.sep_token_id
    assert renumbered(encoded, theirs) == [row[: len(row) - closes] for row in told]
    worst = 0.0
    for ids in encoded:
        row = torch.tensor([ids])
        actual = generator.model.logits(generator.model(row, Layout.counting(1, len(ids))))
        output = model(torch.tensor(renumbered([ids], theirs)))
        expected = output.logits if "logits" in output else output.last_hidden_state @ model.wte.weight.T
        worst = max(worst, compared(actual, expected, theirs))
    return worst


def check_encoder(folder: Path, run: Path, model: Any) -> float:
    filler: Any = whyformer.load(run, device="cpu")
    ours: Any = filler.model
    tokenizer, theirs = transformers.AutoTokenizer.from_pretrained(folder), ids_there(filler.tokenizer)
    worst = 0.0
    for text in TEXTS[:-3]:
        ids = [BOS, *filler.tokenizer.encode(text), EOS]
        told = tokenizer(text)["input_ids"]
        assert renumbered([ids], theirs) == [told]
        layout = Layout.counting(1, len(ids))
        hidden = ours(torch.tensor([ids]), layout)
        output = model(torch.tensor([told]), output_hidden_states=True)
        worst = max(worst, float((hidden - output.hidden_states[-1]).abs().max()))
        logits = output.get("prediction_logits", output.get("logits"))
        if ours.masked is not None:
            states, table = ours.scored(hidden[0])
            worst = max(worst, compared(states @ table.T, logits[0], theirs))
        if ours.next_sentence is not None:
            expected = output.get("seq_relationship_logits", logits)
            worst = max(worst, float((ours.next_sentence(ours.pool(hidden)) - expected).abs().max()))
        elif ours.pooler is not None:
            worst = max(worst, float((ours.pool(hidden) - output.pooler_output).abs().max()))
    return worst


def check_classifier(folder: Path, run: Path, model: Any) -> float:
    classify: Any = whyformer.load(run, device="cpu")
    tokenizer, worst = transformers.AutoTokenizer.from_pretrained(folder), 0.0
    labels = tuple(model.config.id2label[id] for id in range(3))
    assert classify.labels == labels
    texts = TEXTS[:-3]
    for text, told in zip(texts, classify.classify([(each,) for each in texts]), strict=True):
        expected = model(torch.tensor([tokenizer(text)["input_ids"]])).logits.softmax(dim=-1)[0]
        actual = torch.tensor([told.probabilities[label] for label in labels])
        worst = max(worst, float((actual - expected).abs().max()))
    return worst


def check_translator(folder: Path, run: Path, model: Any) -> float:
    translator: Any = whyformer.load(run, device="cpu")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    source, target = translator.tokenizers.source, translator.tokenizers.target
    there, here = ids_there(source), ids_there(target)
    texts, worst = [*TEXTS, ">>de<< and so on", "½ ﬁ ガギ"], 0.0
    for text in texts:
        read, said = tokenizer(text)["input_ids"], tokenizer(text_target=text)["input_ids"]
        ours, written = [*source.encode(text), EOS], target.encode(text)
        assert renumbered([ours], there) == [read]
        assert renumbered([[*written, EOS]], here) == [said]
        start = model.config.decoder_start_token_id
        expected = model(torch.tensor([read]), decoder_input_ids=torch.tensor([[start, *said[:-1]]])).logits[
            0
        ]
        row, real = torch.tensor([[BOS, *written]]), torch.ones(1, len(written) + 1, dtype=torch.bool)
        hidden = translator.model(torch.tensor([ours]), torch.ones(1, len(ours), dtype=torch.bool), row, real)
        actual = translator.model.logits(hidden)[0]
        strays = Imported.model_validate(target.spec).strays
        # The start is taken out of a tied table on the way out: all scores are lower by as much.
        actual, expected = actual.log_softmax(dim=-1), expected.log_softmax(dim=-1)
        kept = here[: len(here) - strays]
        worst = max(worst, compared(actual[:, : len(kept)], expected, kept))
        assert not actual.softmax(dim=-1)[:, len(kept) :].any()
    return worst


def test_a_roberta_reads_pairs_and_fills_holes_as_theirs_does(tmp_path: Path):
    mask = {"content": "<mask>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}
    told = {"mask_token": {"__type": "AddedToken", **mask}}
    model = roberta(told=told)(tmp_path / "folder")
    import_model(tmp_path / "folder", tmp_path / "run")
    filler: Any = whyformer.load(tmp_path / "run", device="cpu")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "folder")
    theirs = ids_there(filler.tokenizer)
    reader: Any = encoder(open_run(tmp_path / "run").recipe.model, filler.tokenizer)
    for one, two in zip(SENTENCES[:5], SENTENCES[5:10], strict=True):
        assert reader.lengths([(one, two)]) == [len(tokenizer(one, two)["input_ids"])]
    for text in (
        "Maria <mask> the blue café menu.",
        "nobody here doesn't<mask> three maps",
        "<mask> found 12",
    ):
        ids = tokenizer(text)["input_ids"]
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0, ids.index(tokenizer.mask_token_id)]
        (filled,) = filler.fill([text.replace("<mask>", "[MASK]")], top=3)
        # Theirs may also choose special tokens.
        special = {tokenizer.convert_tokens_to_ids(name) for name in ROBERTA}
        best = [id for id in logits.argsort(descending=True).tolist() if id not in special][:3]
        pieces = tokenizer.convert_ids_to_tokens(best)
        assert [guess.token for guess in filled.holes[0]] == pieces
    assert theirs[4] == tokenizer.mask_token_id


@pytest.mark.parametrize(
    ("added", "special"),
    [
        ({"cap sun": 360}, []),
        ({"<user>": 360, "<bot>": 361}, ["<user>", "<bot>"]),
        ({"Über": 361, "naïve": 360}, ["naïve"]),
        ({"一位": 360, " & ": 361, "dog": 362}, []),
    ],
)
def test_added_tokens_of_a_file_are_cut_as_theirs(added: dict[str, int], special: list[str], tmp_path: Path):
    folder, run = tmp_path / "folder", tmp_path / "run"
    told = {"additional_special_tokens": special}
    files = {"added_tokens.json": added, "special_tokens_map.json": told}
    gpt2(vocabulary=360 + len(added), files=True, after=lambda folder, _: written(folder, files))(folder)
    import_model(folder, run)
    generator: Any = whyformer.load(run, device="cpu")
    theirs, cut = transformers.AutoTokenizer.from_pretrained(folder), generator.tokenizer
    texts = [*SENTENCES[:5], *added, "the cap sun & <user>s", "a<bot>: naïve Über 一位老师"]
    texts = [text for text in texts if not any(name in text for name in special)]
    told_there = theirs(texts)["input_ids"]
    assert renumbered(cut.encode_all(texts), ids_there(cut)) == told_there
    plain = [name for name in added if name not in special]
    assert {id for row in told_there for id in row} >= {added[name] for name in plain}
    # Special ones are tokens only where that is asked for.
    for name in special:
        text = f"one {name} two"
        assert renumbered([cut.encode_marked(text)], ids_there(cut)) == [theirs(text)["input_ids"]]
        assert added[name] not in renumbered([cut.encode(text)], ids_there(cut))[0]


@pytest.mark.parametrize("piece", ["the", "cat", "s"])
def test_an_added_token_that_the_vocabulary_has_keeps_its_id_there(piece: str, tmp_path: Path):
    folder, run = tmp_path / "folder", tmp_path / "run"
    files = {"added_tokens.json": {piece: 360}}
    gpt2(vocabulary=361, files=True, after=lambda folder, _: written(folder, files))(folder)
    import_model(folder, run)
    cut = whyformer.load(run, device="cpu").tokenizer  # pyright: ignore[reportAttributeAccessIssue]
    texts = [*SENTENCES[:3], f"one {piece} two{piece}"]
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    assert renumbered(cut.encode_all(texts), ids_there(cut)) == theirs(texts)["input_ids"]


@pytest.mark.parametrize(
    ("told", "config"),
    [
        ({"do_lower_case": False}, {}),
        ({"strip_accents": False}, {"bos_token_id": 9_999, "eos_token_id": 9_999}),
        ({"tokenize_chinese_chars": False}, {"bos_token_id": 11, "eos_token_id": 12}),
        ({"tokenizer_class": "BertTokenizerFast"}, {"bos_token_id": None, "eos_token_id": 50_257}),
    ],
)
@torch.inference_mode()
def test_a_gpt2_with_word_pieces_is_read_as_theirs(
    told: dict[str, Any], config: dict[str, Any], tmp_path: Path
):
    folder, run = tmp_path / "folder", tmp_path / "run"
    with torch.inference_mode(mode=False):
        model = word_piece_gpt2(**config)(folder)
    written(folder, {"tokenizer_config.json": {"tokenizer_class": "BertTokenizer", **told}})
    import_model(folder, run)
    assert check_generator(folder, run, model) <= 1e-5


PRE_NORM: dict[str, Any] = {"head": "PegasusForConditionalGeneration", "after": pre_norm}
SEPARATE: dict[str, Any] = {"told": {"separate_vocabs": True}}
APART = {"share_encoder_decoder_embeddings": False}


@pytest.mark.parametrize(
    "build",
    [
        marian_json(**PRE_NORM, config={"activation_function": "relu"}),
        marian_json(**PRE_NORM, config={"scale_embedding": True}),
        marian_json(**PRE_NORM, config={"encoder_layers": 3, "decoder_layers": 1}),
        marian(**SEPARATE, config={**APART, "scale_embedding": True}, left_out=11),
        marian(**SEPARATE, config={**APART, "encoder_layers": 1}, spm_sides=("target", "source")),
        marian(**SEPARATE, config={**APART, "bos_token_id": 0}),
    ],
)
@torch.inference_mode()
def test_other_pre_norms_and_vocabularies_of_a_marian_compute_as_theirs(build: Build, tmp_path: Path):
    with torch.inference_mode(mode=False):
        model = build(tmp_path / "folder")
    import_model(tmp_path / "folder", tmp_path / "run")
    assert check_translator(tmp_path / "folder", tmp_path / "run", model) <= 1e-5


def check_parity(variant: Variant, folder: Path, run: Path, model: Any) -> float:
    if "ForSequenceClassification" in type(model).__name__:
        return check_classifier(folder, run, model)
    check = {"GPT-2": check_generator, "Marian": check_translator}.get(variant.model, check_encoder)
    return check(folder, run, model)


def _cases() -> list[Any]:
    return [
        pytest.param(
            each,
            id=f"{each.model} {each.what}",
            marks=() if (each.model, each.what) in EVERY_RUN else pytest.mark.slow,
        )
        for each in VARIANTS
    ]


def test_the_table_has_a_row_for_each_folder_and_no_other():
    rows = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    named = [tuple(row.split(" | ", 2)[:2]) for row in rows if not row.startswith(("| model", "| ---"))]
    assert named == [(f"| {each.model}", each.what) for each in VARIANTS]
    assert {(each.model, each.what) for each in VARIANTS} >= EVERY_RUN


@pytest.mark.parametrize("variant", _cases())
@torch.inference_mode()
def test_a_folder_is_imported_as_it_computes_or_refused(variant: Variant, tmp_path: Path):
    with torch.inference_mode(mode=False):
        model = variant.build(tmp_path / "folder")
    folder, run = tmp_path / "folder", tmp_path / "run"
    if variant.refused:
        with pytest.raises(WhyformerError) as caught:
            import_model(folder, run)
        sentence = str(caught.value).replace(str(folder), "FOLDER")
        assert sentence.startswith(variant.refused)
        assert variant.row(sentence) in TABLE.read_text(encoding="utf-8").splitlines()
        assert not run.exists()
        return
    assert variant.row("") in TABLE.read_text(encoding="utf-8").splitlines()
    report = import_model(folder, run)
    for said in variant.says:
        assert said in report, report
    decoding = dict(open_run(run).recipe).get("decoding")
    assert {key: getattr(decoding, key) for key in variant.marks} == dict(variant.marks)
    assert check_parity(variant, folder, run, model) <= 1e-5
    if variant.back:
        with pytest.raises(CheckpointError, match=re.escape(variant.back)):
            export_model(run, tmp_path / "out")
        return
    export_model(run, tmp_path / "out")
    again = getattr(transformers, type(model).__name__).from_pretrained(tmp_path / "out").eval()
    assert check_parity(variant, tmp_path / "out", run, again) <= 1e-5
    import_model(tmp_path / "out", tmp_path / "back")
    before, after = open_run(run), open_run(tmp_path / "back")
    assert before.recipe.model == after.recipe.model
    assert check_parity(variant, folder, tmp_path / "back", model) <= 1e-5
