"""A language model from text to text: trained, resumed, measured, and writing."""

import gzip
import math
import shutil
from pathlib import Path

import pytest
import torch

import whyformer
from whyformer.config.recipe_files import recipe_text
from whyformer.data.corpora.documents import DocumentsSpec
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.search import SearchSpec
from whyformer.errors import CheckpointError, DataError, DecodingError, RecipeError
from whyformer.experiments.grid import equal_steps, plan_trials
from whyformer.experiments.trial import COSTS, Conditions, run_trial
from whyformer.runs.load import load_as
from whyformer.runs.registry import load_any, task_of
from whyformer.runs.train import resume_run, start_run
from whyformer.special_tokens import BOS, EOS
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.causal_lm.training import NextToken, PackedDocuments
from whyformer.tasks.translation.translator import Translator
from whyformer.training.storage.checkpoint import load_tensors
from whyformer.training.storage.run import RunFolder

LENGTHS = {"longest_factor": 0.0, "longest_extra": 12}
# One of them has letters that were never seen, which is told.
pytestmark = pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
PROMPTS = ["one", "", "five six seven eight", "two three ", "zwölf"]


@pytest.fixture(scope="module")
def generator(counting_run: Path) -> Generator:
    return load_as(Generator, counting_run)


def test_a_trained_run_does_what_it_was_trained_for(counting_run: Path):
    write = whyformer.load(counting_run, device="cpu")
    assert str(write("one two")).startswith("one two three four")
    assert str(write("six seven ")).startswith("six seven eight")


def drawn(samples: int = 1) -> SamplingSpec:
    return SamplingSpec(samples=samples, temperature=2.0, seed=3, longest_factor=0.0, longest_extra=12)


@pytest.mark.parametrize(
    "settings",
    [
        GreedySpec(longest_factor=0.0, longest_extra=12),
        BeamSpec(size=3, n_best=2, longest_factor=0.0, longest_extra=12),
        drawn(samples=2),
    ],
)
def test_a_prompt_gives_the_same_alone_and_in_a_batch(generator: Generator, settings: SearchSpec):
    together = generator.generate(PROMPTS, settings)
    for number, prompt in enumerate(PROMPTS, start=1):
        alone = generator.generate([prompt], settings, first=number)[0]
        assert [each.text for each in together[number - 1]] == [each.text for each in alone]
        assert [e.score for e in together[number - 1]] == pytest.approx([e.score for e in alone], abs=1e-4)


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("seed", range(6))
def test_a_stream_joined_is_the_text(generator: Generator, prompt: str, seed: int):
    settings = drawn().model_copy(update={"seed": seed, "longest_extra": 40})
    pieces: list[str] = []
    generator.stream(prompt, pieces.append, settings)
    text = generator.generate([prompt], settings)[0][0].text
    assert "".join(pieces) == text
    assert len(pieces) > 1 or len(text) < 8


def test_a_stream_never_breaks_a_character(generator: Generator, monkeypatch: pytest.MonkeyPatch):
    """The model is made to write one character that is no piece, then half of another and a word."""
    tokenizer = generator.tokenizer
    ids = [*tokenizer.encode("中"), *tokenizer.encode("中")[-3:-1], *tokenizer.encode(" two")]
    forced = drawn().model_copy(update={"prefix": tuple(ids), "longest_extra": len(ids) + 1})
    pieces: list[str] = []
    generator.stream("one", pieces.append, forced)
    text = generator.generate(["one"], forced)[0][0].text
    assert "".join(pieces) == text
    whole = GreedySpec(prefix=tuple(tokenizer.encode("中")), **LENGTHS)  # pyright: ignore[reportArgumentType]
    pieces.clear()
    generator.stream("one", pieces.append, whole)
    assert any("中" in piece for piece in pieces)


def test_a_prompt_may_fill_the_model_and_no_more(generator: Generator):
    word = "one "
    most = generator.model.longest - 1
    for count in range(1, 200):
        tokens = len(generator.tokenizer.encode((word * count).rstrip()))
        if tokens == most:
            found = generator.generate([word * count], drawn())[0][0]
            assert len(found.ids) <= 1
        if tokens > most:
            with pytest.raises(
                DecodingError, match=r"prompt 2 has .* tokens, but the model reads 47 at most"
            ):
                generator.generate(["one", word * count])
            return
    raise AssertionError("the prompt never became too long")


@pytest.mark.parametrize("settings", [GreedySpec, BeamSpec])
def test_a_prompt_may_end_inside_a_piece(generator: Generator, settings: type[GreedySpec] | type[BeamSpec]):
    text = "two three four five six seven"
    search = settings(longest_factor=0.0, longest_extra=30)
    prompts = [text[:cut] for cut in range(5, len(text))]
    right = 0
    for prompt, found in zip(prompts, generator.generate(prompts, search), strict=True):
        begun = prompt.rstrip(" ")
        assert generator.generate([prompt], search)[0][0].text == found[0].text
        right += (begun + found[0].text).startswith(text)
    assert right >= len(prompts) - 2


@pytest.mark.parametrize(
    "prompt", ["</s><s>one two", "<s>one two", "one two</s> three", "two<s> <s>three", "<unk>one two"]
)
def test_special_tokens_are_tokens_only_when_asked(generator: Generator, prompt: str):
    search = GreedySpec(longest_factor=0.0, longest_extra=8)
    cut = generator.tokenizer
    assert cut.encode_marked("one</s><s> two") == [*cut.encode("one"), EOS, BOS, *cut.encode("two")]
    assert not {BOS, EOS} & {*cut.encode("one</s><s> two")}
    plain, marked = (
        generator.generate([prompt], search, special_tokens=asked)[0][0].text for asked in (False, True)
    )
    assert plain != marked
    pieces: list[str] = []
    generator.stream(prompt, pieces.append, search, special_tokens=True)
    assert "".join(pieces) == marked


def test_several_texts_cannot_be_streamed(generator: Generator):
    with pytest.raises(DecodingError, match="several texts cannot be shown while they are written"):
        generator.stream("one", print, drawn(samples=2))


def test_perplexity_and_bits_are_those_of_the_likelihoods_that_the_search_tells(generator: Generator):
    document = "three four five six"
    ids = tuple(generator.tokenizer.encode(document))
    settings = GreedySpec(prefix=ids, longest_factor=0.0, longest_extra=len(ids) + 1, shortest=1)
    with torch.inference_mode():
        tokens = torch.tensor([[BOS]])
        state = generator.model.start(tokens, tokens > 0)
        nll = 0.0
        for fed, gold in zip([BOS, *ids], [*ids, EOS], strict=True):
            nll -= float(generator.model.step(torch.tensor([fed]), state).log_softmax(dim=1)[0, gold])
    assert generator.generate([""], settings)[0][0].text.startswith(document)
    held_out = PackedDocuments([document], generator.tokenizer, generator.model.longest)
    fit = held_out.metrics(generator.model, NextToken(0.0))
    assert (fit.documents, fit.characters, fit.tokens) == (1, len(document), len(ids) + 1)
    assert fit.perplexity == pytest.approx(math.exp(nll / (len(ids) + 1)), rel=1e-4)
    assert fit.bits_per_character == pytest.approx(nll / math.log(2) / len(document), rel=1e-4)


def test_the_best_weights_are_those_of_the_lowest_validation_loss(counting_run: Path):
    valid = [each for each in RunFolder(counting_run).records() if each["event"] != "train"]
    assert {"loss", "nll", "perplexity", "bits_per_character"} <= valid[0].keys()
    _, facts = load_tensors(counting_run / "model.safetensors")
    assert facts["scores"]["nll"] == min(each["nll"] for each in valid)


def test_a_stopped_run_goes_on_to_the_same_bits(counting_run: Path, tmp_path: Path):
    torch.set_num_threads(1)
    recipe, runs = str(counting_run / "recipe.yaml"), (tmp_path / "once", tmp_path / "twice")
    schedule = ["training.schedule.kind=constant", "training.schedule.warmup=10"]
    steady = [*schedule, "training.validation.average=1"]
    for run, steps in zip(runs, (40, 17), strict=True):
        changes = [*steady, f"training.steps={steps}"]
        start_run(recipe, changes, run, device="cpu", overwrite=False, say=print).train()
    resume_run(runs[1], ["training.steps=40"], device="cpu", say=print).train()
    first, second = (load_tensors(RunFolder(run).state)[0] for run in runs)
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_a_comparison_measures_it_too(counting_run: Path, tmp_path: Path):
    trial = plan_trials(str(counting_run / "recipe.yaml"), [], [1], tmp_path, equal_steps(3))[0]
    trial.folder.mkdir(parents=True)
    (trial.folder / "recipe.yaml").write_text(recipe_text(trial.recipe), encoding="utf-8")
    with pytest.raises(RecipeError, match="--test scores translations, and such a run makes none"):
        run_trial(trial.folder, Conditions("cpu", test=True))
    measured = run_trial(trial.folder, Conditions("cpu"))
    assert set(task_of(trial.recipe).figures) <= measured.figures.keys()
    told = {"loss", "nll", "perplexity", *task_of(trial.recipe).measures(trial.recipe), *COSTS}
    assert measured.figures.keys() == told
    assert measured.figures["steps"] == 3


def test_a_run_of_the_other_kind_is_refused_with_the_verb_that_suits(counting_run: Path, reverse_run: Path):
    with pytest.raises(CheckpointError, match="this run generates text; use `whyformer generate"):
        load_as(Translator, counting_run)
    with pytest.raises(CheckpointError, match=r"this run translates; use `whyformer translate"):
        load_as(Generator, reverse_run)


def documents(folder: Path, content: bytes, **settings: object) -> DocumentsSpec:
    path = folder / "text"
    path.write_bytes(content)
    return DocumentsSpec.model_validate({"train": [path], **settings})


def test_documents_end_at_blank_lines_or_with_the_file(tmp_path: Path):
    text = b"\n \na b\r\nc\n\n\nd\n"
    assert documents(tmp_path, text).model_copy(update={"valid": ()})._read([tmp_path / "text"]) == [
        "a b\nc",
        "d",
    ]
    whole = documents(tmp_path, gzip.compress(b"a\n\nb\n"), split="file", valid=[tmp_path / "text"])
    assert whole.held_out("valid") == ["a\n\nb"]


def test_what_is_held_out_or_repeated_is_not_trained_on(tmp_path: Path):
    text = "\n\n".join(str(number % 90) for number in range(100)).encode()
    read = documents(tmp_path, text, valid=0.3).load()
    assert set(read.train).isdisjoint(read.valid)
    assert sorted([*read.train, *read.valid], key=int) == [str(number) for number in range(90)]
    assert 10 < len(read.valid) < 50
    assert read.summary == (
        f"100 documents read: {len(read.train)} to train on, {len(read.valid)} held out as valid, "
        "10 left out as copies"
    )
    # The hash is of the text alone: more text moves nothing from one side to the other.
    more = documents(tmp_path, text + b"\n\nnew", valid=0.3).load()
    assert set(more.valid) - {"new"} == set(read.valid)


@pytest.mark.parametrize(
    ("content", "settings", "sentence"),
    [
        (None, {}, "/text: no such file."),
        (b"", {}, "/text: this file is empty."),
        (b" \n\n", {}, "/text: holds nothing but white space."),
        (b"a\n\xff\n", {}, "/text:2: not UTF-8; correct this line."),
        (b"\x1f\x8bnot gzip", {}, "/text: damaged gzip file"),
        (
            b"a",
            {"valid": 0.01},
            "data.valid: 0.01 of 1 different documents is not one, and the text",
        ),
        (b"a\n\nb", {"valid": ["{folder}/text"]}, "data.train: every document is held out"),
    ],
)
def test_bad_text_is_one_sentence(
    tmp_path: Path, content: bytes | None, settings: dict[str, object], sentence: str
):
    if "valid" in settings and not isinstance(settings["valid"], float):
        settings = {"valid": [tmp_path / "text"]}
    spec = documents(tmp_path, content or b"", **settings)
    if content is None:
        (tmp_path / "text").unlink()
    with pytest.raises(DataError) as caught:
        spec.load()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_test_set_names_those_that_exist(tmp_path: Path):
    with pytest.raises(DataError, match="there is no test set tset; did you mean test"):
        documents(tmp_path, b"a", test={"test": [tmp_path / "text"]}).held_out("tset")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["task=no"], "task: is"),
        (["data.valid=2"], "data.valid: is 2; should be"),
        (["data.train=[]"], "data.train: is []; should be"),
        (["data.test.valid=[x]"], "test has a set named valid"),
        (["model.stack.mask.kind=everything"], "model: stack.mask lets a token see later ones"),
        (["model.preset=huge"], 'model.preset: unknown preset "huge"; presets: gpt2_small, tiny'),
    ],
)
def test_faults_of_a_recipe_are_told_with_their_path(counting_run: Path, changes: list[str], sentence: str):
    with pytest.raises(RecipeError) as caught:
        load_any(str(counting_run / "recipe.yaml"), changes)
    assert sentence in str(caught.value)


def test_the_shipped_recipe_is_one_of_this_task():
    assert isinstance(load_any("gpt-tiny"), CausalLMRecipe)


def test_a_run_of_a_damaged_tokenizer_is_refused(counting_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(counting_run, tmp_path / "run"))
    (run / "tokenizer.json").unlink()
    with pytest.raises(Exception, match="no such tokenizer file"):
        whyformer.load(run)
