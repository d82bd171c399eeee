"""A hundred sentences, large random weights, small runs, and two tokenizers in the format of others."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from tokenizers import Tokenizer as LibraryTokenizer
from tokenizers import decoders, models, pre_tokenizers, trainers
from torch import nn

from whyformer.config.recipe_files import recipe_text
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.files import write_text
from whyformer.tasks.recipe import Recipe
from whyformer.training.settings import TrainingSpec
from whyformer.training.storage.checkpoint import save_tensors
from whyformer.training.storage.run import RunFolder

WHO = ["Maria", "my neighbour", "the old captain", "nobody here", "Dr. O'Neill", "die Köchin", "一位老师"]
WHAT = ["reads", "doesn't want", "has lost", "found 12 of", "is looking for"]
WHICH = ["the blue café menu.", "naïve “quotes” & símbolos!", "three maps (of Łódź)?"]
_MADE = [f"{who} {what} {which}" for who in WHO for what in WHAT for which in WHICH][:100]
SENTENCES = [sentence + " And again." * (index % 3) for index, sentence in enumerate(_MADE)]

NEVER_TRAINED = TrainingSpec(epochs=1)
END_OF_TEXT = "<|endoftext|>"
Module = TypeVar("Module", bound=nn.Module)


def shaken(model: Module) -> Module:
    """``model`` with random weights, none of them where it begins."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.dim() > 1:
                parameter.normal_(std=parameter.shape[-1] ** -0.5)
            elif parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model.eval()


def write_run(path: Path, recipe: Recipe, tokenizer: Tokenizer, model: nn.Module) -> Path:
    """The run folder of a ``model`` that was never trained."""
    pair = TokenizerPair(tokenizer, tokenizer)
    path.mkdir(parents=True)
    write_text(RunFolder(path).recipe, recipe_text(recipe))
    pair.save(path)
    facts = {"tokenizers": pair.fingerprints, "step": 0, "scores": {}}
    save_tensors(RunFolder(path).weights, model.state_dict(), facts)
    return path


def renumbered(rows: Sequence[Sequence[int]], theirs: Sequence[int | None]) -> list[list[int | None]]:
    """Our ids as theirs."""
    return [[theirs[id] for id in row] for row in rows]


def byte_pairs() -> LibraryTokenizer:
    """A tokenizer like GPT-2's."""
    made = LibraryTokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(SENTENCES[:50], trainer)
    return made


def word_pieces() -> list[str]:
    """A vocab.txt like BERT's, in which marks are neither first nor in our order."""
    letters = sorted(set("".join(SENTENCES).lower()) - {" ", "师"})
    pieces = [*letters, *(f"##{letter}" for letter in letters), "the", "again", "cap", "##tain"]
    return ["[PAD]", *pieces[:9], "[UNK]", "[CLS]", "[SEP]", "[MASK]", ":", *pieces[9:]]


def written(folder: Path, files: dict[str, Any]) -> Path:
    """A folder with JSON and text files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, encoding="utf-8")
    return folder
