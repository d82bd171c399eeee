"""Toy recipes of every family, with dropout, whose steps have several batches."""

from pathlib import Path
from random import Random

TRAINING = """\
training:
  steps: 6
  batching: {tokens: 64, accumulate: 4}
  # A large epsilon, because Adam else turns the noise of gradients that should be zero into full steps.
  optimizer: {kind: adam, epsilon: 0.1}
  schedule: {kind: constant, peak: 0.02, warmup: 2}
  precision: fp32
  clip: 1.0
  validation: {every: 3, average: 2}
  save_every: 2
  log_every: 1
"""
BLOCK = "{attention: {heads: {query: 2}}, feed_forward: {hidden: 32}, dropout: 0.1}"

TRANSLATION = f"""\
data: {{kind: reverse, symbols: 5, shortest: 2, longest: 4, pairs: 150}}
tokenizers: {{kind: joint, both: {{kind: word, split: spaces}}}}
model:
  d_model: 16
  embedding: {{dropout: 0.1}}
  encoder: {{layers: 1, block: {BLOCK}}}
  decoder:
    layers: 1
    block:
      attention: {{heads: {{query: 2}}}}
      cross_attention: {{heads: {{query: 2}}}}
      feed_forward: {{hidden: 32}}
      dropout: 0.1
  longest: 16
{TRAINING}
decoding: {{kind: greedy}}
scoring: {{tokenize: none}}
"""
RECURRENT = f"""\
data: {{kind: reverse, symbols: 5, shortest: 2, longest: 4, pairs: 150}}
tokenizers: {{kind: joint, both: {{kind: word, split: spaces}}}}
model: {{kind: recurrent, d_model: 16, embedding: {{dropout: 0.1}}, layers: 1, dropout: 0.1, longest: 16}}
{TRAINING}
decoding: {{kind: greedy}}
scoring: {{tokenize: none}}
"""
CAUSAL = f"""\
task: causal_lm
data: {{train: [TEXT], valid: 0.2}}
tokenizer: {{kind: bpe, vocabulary: 330}}
model:
  preset: tiny
  d_model: 16
  stack: {{layers: 1, block: {BLOCK}}}
  longest: 24
{TRAINING}
"""
MASKED = f"""\
task: masked_lm
data: {{train: [TEXT], valid: 0.2}}
tokenizer: {{kind: word, specials: ["[MASK]"]}}
model:
  preset: tiny
  d_model: 16
  stack: {{layers: 1, block: {BLOCK}}}
  longest: 24
duplicates: 2
{TRAINING}
"""
BIDIRECTIONAL = f"""\
task: bidirectional_lm
data: {{train: [TEXT], valid: 0.2}}
tokenizer: {{vocabulary: 12}}
model:
  d_model: 24
  characters: {{width: 8, filters: [[1, 8], [3, 16]], highways: 1, longest: 12}}
  dropout: 0.1
  longest: 8
{TRAINING}
"""
SPEECH = """\
task: speech
base: tones
data: {kind: strings, words: {kind: tones}, train: 24, valid: 4, test: 4}
features: {rate: 8000, bins: 16}
model:
  encoder:
    d_model: 16
    front: {features: 16, channels: 4}
    stack: {layers: 1, block: {attention: {heads: {query: 2}}, feed_forward: {kind: relu, hidden: 32}}}
training:
  epochs: null
  steps: 4
  batching: {tokens: 1200, accumulate: 4}
  optimizer: {kind: adam, epsilon: 0.1}
  schedule: {kind: constant, peak: 0.01, warmup: 2}
  precision: fp32
  validation: {every: 4, average: 1}
  log_every: 1
"""

FAMILIES = {
    "translation": TRANSLATION,
    "recurrent": RECURRENT,
    "causal": CAUSAL,
    "masked": MASKED,
    "bidirectional": BIDIRECTIONAL,
    "speech": SPEECH,
    "muon": TRANSLATION.replace("{kind: adam, epsilon: 0.1}", "{kind: muon, epsilon: 0.1}"),
}


def write_recipes(folder: Path) -> dict[str, str]:
    """A file in ``folder`` for each family; the paths by name."""
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    random, documents = Random(0), list[str]()
    for _ in range(40):
        starts = [random.randrange(6) for _ in range(6)]
        documents.append("\n".join(" ".join(words[a : random.randrange(a + 3, 11)]) + "." for a in starts))
    text = folder / "text.txt"
    text.write_text("\n\n".join(documents), encoding="utf-8")
    for name, recipe in FAMILIES.items():
        (folder / f"{name}.yaml").write_text(recipe.replace("TEXT", str(text)), encoding="utf-8")
    return {name: str(folder / f"{name}.yaml") for name in FAMILIES}
