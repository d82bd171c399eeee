"""Question 19 in small: attention bridges a distance, and only where it may see across it."""

from functools import partial

import torch
from torch import nn

from whyformer.attention.mask import Window
from whyformer.why.arms import LSTM, TRANSFORMER
from whyformer.why.lab.toys.reader import LastReader
from whyformer.why.lab.toys.retrieval import RECALLED, recall
from whyformer.why.lab.training import ToyTraining
from whyformer.why.questions.q19_recurrent import LAYER, MODELS, RECALL, RecurrentOrAttention

SMALL = RecurrentOrAttention(
    models={arm: MODELS[arm] for arm in (TRANSFORMER, LSTM)},
    delays=(1, 24),
    rates=(1e-2,),
    training=ToyTraining(steps=60, batch=16, test_every=20, test_examples=64),
    patience=1,
    tokens=(8,),
    lengths=(8,),
)


def test_the_small_experiment_goes_the_right_way():
    measured = SMALL.run(101)
    # 8 seeds: Transformer 98 to 100 %, LSTM 6 to 25 %.
    assert measured[RECALL, TRANSFORMER, 24] > 90.0
    assert measured[RECALL, LSTM, 24] < 40.0
    assert measured[RECALL, TRANSFORMER, 1] > 90.0


def test_attention_that_may_not_look_so_far_does_not_bridge_it():
    near: partial[nn.Module] = partial(
        LastReader, 2 * RECALLED + 1, RECALLED, LAYER.model_copy(update={"mask": Window(left=8, right=0)}), 32
    )
    log = SMALL.training.best_of(SMALL.rates, near, recall(24), 101).log
    assert log.final < 40.0


def test_the_first_symbol_is_asked_for():
    sentences, target = recall(5)(torch.Generator().manual_seed(101), 64)
    assert sentences.shape == (64, 7)
    assert torch.equal(sentences[:, 0] - 1, target)
    assert bool((sentences[:, 1:-1] > RECALLED).all())
    assert int(target.min()) >= 0
    assert int(target.max()) < RECALLED
