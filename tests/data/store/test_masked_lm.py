"""Models that fill holes, trained from a store."""

import json
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from whyformer.data.batches.masking import MASK
from whyformer.data.store.build import StoreSettings, build_store
from whyformer.data.store.reader import TokenStore
from whyformer.data.store.text.inputs import TextInputs
from whyformer.data.tokenizers.kinds import BPE, Word, WordPiece
from whyformer.data.tokenizers.pair import JointTokenizer, TokenizerPair
from whyformer.errors import DataError, RecipeError
from whyformer.runs.train import resume_run, start_run
from whyformer.special_tokens import BOS, EOS
from whyformer.tasks.masked_lm.stored import StoredTexts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("masked"), Random(0)
    lines = [
        " ".join(random.choices(["one", "two", "three", "four"], k=random.randrange(1, 40)))
        for _ in range(90)
    ]
    (folder / "text").write_text("".join(f"{line}\n" for line in lines))
    inputs = TextInputs("lines", ((folder / "text",),))
    tokenizer = WordPiece(vocabulary=60, specials=(MASK,)).train(lines)
    ready = StoreSettings(TokenizerPair(tokenizer, tokenizer), held_out=4, rows=40)
    build_store(inputs, folder / "store", ready)
    build_store(inputs, folder / "without", StoreSettings(JointTokenizer(both=WordPiece(vocabulary=60))))
    return folder


@pytest.mark.parametrize("longest", [3, 12, 512])
def test_every_token_stands_in_one_text(folder: Path, longest: int):
    store = TokenStore(folder / "store")
    texts = StoredTexts(store, longest)
    numbers = texts.lengths.numbers(np.arange(len(texts.lengths)))
    assert len(set(numbers.tolist())) == len(numbers)
    found = list[int]()
    lengths = list[int]()
    for number in sorted(numbers.tolist()):
        tokens, kinds = texts.row(number)
        assert (tokens[0], tokens[-1]) == (BOS, EOS)
        assert 3 <= len(tokens) == len(kinds) <= longest
        found += tokens[1:-1].tolist()
        lengths.append(len(tokens))
    assert found == [token for number in range(len(store)) for token in store.ids(number)[0]]
    expected = np.repeat(texts.lengths.lengths[:, 0], texts.lengths.counts)
    assert sorted(lengths) == expected.tolist()
    assert texts.lengths.tokens == sum(lengths)


def recipe(folder: Path, path: Path, store: str, heads: tuple[str, ...]) -> str:
    said = {
        "task": "masked_lm",
        "data": {"kind": "store", "path": str(folder / store)},
        "model": {"preset": "tiny", "heads": heads, "longest": 12},
        "training": {"steps": 6, "save_every": 2, "batching": {"tokens": 100}, "precision": "fp32"},
    }
    path.write_text(json.dumps(said))
    return str(path)


def test_a_run_that_resumes_has_the_same_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spec = recipe(folder, tmp_path / "recipe.yaml", "store", ("masked",))

    def start(name: str):
        return start_run(spec, [], tmp_path / name, device="cpu", overwrite=False, say=lambda _: None)

    whole = start("whole")
    whole.train()
    stopped = start("stopped")
    update = stopped.step.update

    def until(step: int, total: int | None) -> float:
        if step == 4:
            raise KeyboardInterrupt
        return update(step, total)

    monkeypatch.setattr(stopped.step, "update", until)
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    again = resume_run(tmp_path / "stopped", [], device="cpu", say=lambda _: None)
    assert 0 < again.progress.step < 6
    again.train()
    for one, other in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)
    numbers = {
        int(each)
        for _, _, group in islice(whole.batches.after(0, 0), whole.steps_per_epoch)
        for each in np.concatenate(group)
    }
    assert len(numbers) == whole.batches.examples


@pytest.mark.parametrize("kind", [BPE, WordPiece, Word])
def test_a_recipe_need_not_say_the_store_s_tokenizer(folder: Path, tmp_path: Path, kind: type[BPE]):
    lines = (folder / "text").read_text().splitlines()
    tokenizer = kind(specials=(MASK,)).train(lines)
    inputs = TextInputs("lines", ((folder / "text",),))
    build_store(inputs, tmp_path / "usual", StoreSettings(TokenizerPair(tokenizer, tokenizer), held_out=4))
    spec = recipe(tmp_path, tmp_path / "recipe.yaml", "usual", ("masked",))
    said = ["training.steps=1"]
    start_run(spec, said, tmp_path / "run", device="cpu", overwrite=False, say=lambda _: None).train()


def test_what_a_store_cannot_give_is_refused_in_a_sentence(folder: Path, tmp_path: Path):
    for store, heads, kind, said in (
        (
            "store",
            ("masked", "next_sentence"),
            RecipeError,
            r"model\.heads has next_sentence.*ends of sentences",
        ),
        ("without", ("masked",), DataError, r"no \[MASK\].*tokenizer train"),
    ):
        spec = recipe(folder, tmp_path / "recipe.yaml", store, heads)
        with pytest.raises(kind, match=said):
            start_run(spec, [], tmp_path / "run", device="cpu", overwrite=False, say=lambda _: None)
