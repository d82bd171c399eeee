"""Ways to search that transformers has none for: what is left out is told."""

import warnings

import pytest

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.ranking.order import MinimumBayesRisk
from whyformer.errors import WhyformerNote
from whyformer.huggingface.generation import written_search
from whyformer.huggingface.tokenizers.token_ids import TokenIds

IDS = TokenIds((0, 1, 2, 3), 30)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (BeamSpec(ranking=MinimumBayesRisk()), r"decoding\.ranking is minimum_bayes_risk in the recipe"),
        (BeamSpec(coverage_penalty=0.3), r"decoding\.coverage_penalty is 0\.3 in the recipe"),
    ],
)
def test_what_cannot_be_said_there_is_told_here(settings: BeamSpec, said: str):
    with pytest.warns(WhyformerNote, match=f"{said}, which generation_config.json cannot say"):
        told = written_search(settings, IDS, prompted=False, longest=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert written_search(BeamSpec(), IDS, prompted=False, longest=20) == told
