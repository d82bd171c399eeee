"""Settings by which their models write texts, brought to a recipe's ``decoding`` and back.

They lie in generation_config.json, in old folders in config.json. What both sides can say is taken over; of
the rest each setting that decides something is named.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from whyformer.config.validation import check
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.constraints import ConstraintsSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.search import SearchSpec
from whyformer.decoding.stopping_rules import Patience
from whyformer.errors import WhyformerNote
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.special_tokens import EOS, PAD

Say = Callable[[str], object]

_NEUTRAL: dict[str, tuple[object, ...]] = {
    "repetition_penalty": (1.0,),
    "encoder_repetition_penalty": (1.0,),
    "encoder_no_repeat_ngram_size": (0,),
    "typical_p": (1.0,),
    "min_p": (),
    "top_h": (),
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
    "num_beam_groups": (1,),
    "diversity_penalty": (0.0,),
    "penalty_alpha": (0.0,),
    "guidance_scale": (1.0,),
    "begin_suppress_tokens": ([],),
    "forced_decoder_ids": ([],),
    "exponential_decay_length_penalty": (),
    "sequence_bias": ({}, []),
    "stop_strings": ([],),
    "max_time": (),
    "renormalize_logits": (False,),
    "watermarking_config": (),
    "dola_layers": (),
}
"""Settings that no recipe can say, with the values that do nothing, besides null."""
_OLDER = (
    *("num_beams", "do_sample", "temperature", "top_k", "top_p", "num_return_sequences", "length_penalty"),
    *("max_length", "max_new_tokens", "min_length", "min_new_tokens", "no_repeat_ngram_size"),
    *("bad_words_ids", "suppress_tokens", "forced_bos_token_id", "early_stopping"),
    *_NEUTRAL,
)
"""Settings that old folders have in config.json."""


def read_search(
    told: Mapping[str, Any], default: SearchSpec, token_ids: TokenIds, *, prompted: bool, say: Say
) -> SearchSpec:
    """The recipe's way to search that ``told`` asks for, over ``default``.

    Args:
        told: their settings.
        default: the way of a recipe that says nothing.
        token_ids: their ids of our tokens.
        prompted: whether texts go on from a prompt, whose tokens their lengths count, too.
        say: takes a sentence on each setting that is not taken over.
    """
    said = {key: value for key, value in told.items() if value is not None}
    found = _lengths(said, prompted=prompted, say=say)
    found |= _tokens(said, token_ids, default, say)
    if ngram := said.get("no_repeat_ngram_size"):
        found["no_repeat_ngram"] = ngram
        if prompted:
            say("no_repeat_ngram_size counts the prompt there, and only what is written here")
    kind = _kind(said, default, say)
    kept = {
        name: value for name, value in default.model_dump().items() if name in ConstraintsSpec.model_fields
    }
    if kind["kind"] == default.kind:
        kept = default.model_dump()
    for name, neutral in _NEUTRAL.items():
        if name in said and said[name] not in neutral:
            say(f"{name} is {said[name]} there, which no recipe can say; it is left out")
    settings: dict[str, Any] = {**kept, **found, **kind}
    match settings["kind"]:
        case "greedy":
            return check(GreedySpec, settings, "the settings in generation_config.json")
        case "beam":
            return check(BeamSpec, settings, "the settings in generation_config.json")
        case _:
            return check(SamplingSpec, settings, "the settings in generation_config.json")


def _lengths(said: Mapping[str, Any], *, prompted: bool, say: Say) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "max_new_tokens" in said:
        found |= {"longest_factor": 0.0, "longest_extra": said["max_new_tokens"]}
    elif "max_length" in said and prompted:
        say(
            f"max_length is {said['max_length']} there and counts the prompt, which no recipe can say; here "
            "decoding.longest_extra limits what is written"
        )
    elif "max_length" in said:
        # Theirs counts the token that the decoder starts from.
        found |= {"longest_factor": 0.0, "longest_extra": max(1, said["max_length"] - 1)}
    if least := said.get("min_new_tokens"):
        found["shortest"] = least + 1
    elif (least := said.get("min_length")) and prompted:
        say(f"min_length is {least} there and counts the prompt, which no recipe can say; it is left out")
    elif least:
        found["shortest"] = least
    return found


def _tokens(said: Mapping[str, Any], token_ids: TokenIds, default: SearchSpec, say: Say) -> dict[str, Any]:
    """Tokens that never come, or come first."""
    ours = {id: place for place, id in reversed([*enumerate(token_ids.theirs)])}
    words = [[id] for id in said.get("suppress_tokens") or []] + list(said.get("bad_words_ids") or [])
    alone = [ours[word[0]] for word in words if len(word) == 1 and word[0] in ours]
    if longer := [word for word in words if len(word) > 1]:
        say(f"bad_words_ids forbids {len(longer):,} series of tokens there; here only single ones can be")
    found: dict[str, Any] = {}
    if forbidden := [id for id in alone if id != EOS and id not in default.forbidden]:
        found["forbidden"] = (*default.forbidden, *sorted(set(forbidden)))
    first = said.get("forced_bos_token_id")
    if isinstance(first, int) and first in ours:
        found["prefix"] = (ours[first],)
    last = said.get("forced_eos_token_id")
    if isinstance(last, int) and last != token_ids.first[EOS]:
        say(f"forced_eos_token_id is {last} there, but no recipe can say how a text that is cut off ends")
    ends = said.get("eos_token_id")
    if isinstance(ends, list) and len(ends) > 1:
        say(f"eos_token_id names {len(ends)} tokens there; here token {ends[0]} alone ends a text")
    return found


def _kind(said: Mapping[str, Any], default: SearchSpec, say: Say) -> dict[str, Any]:
    """The kind of search and its own settings."""
    beams, samples = said.get("num_beams", 1), said.get("do_sample", False)
    count = said.get("num_return_sequences", 1)
    if samples:
        if beams > 1:
            say(f"do_sample and num_beams: {beams} are set there; here texts are drawn without a beam")
        top_k = said.get("top_k", 50)
        return {
            "kind": "sampling",
            "temperature": said.get("temperature", 1.0),
            "top_k": top_k or None,
            "top_p": said.get("top_p", 1.0),
            "samples": count,
        }
    if beams > 1:
        power = said.get("length_penalty", 1.0)
        if power:
            say(
                f"length_penalty is {power} there and divides by length ** {power}; here it is the power of "
                "(5 + length) / 6, so of hypotheses of unlike length another may be best"
            )
        return {
            "kind": "beam",
            "size": beams,
            "length_penalty": max(0.0, power),
            "n_best": min(count, beams),
            "stopping": {"kind": "patience"} if said.get("early_stopping") is True else {"kind": "bound"},
        }
    if "num_beams" in said or "do_sample" in said:
        return {"kind": "greedy"}
    return {"kind": default.kind}


def written_search(
    settings: SearchSpec, token_ids: TokenIds, *, prompted: bool, longest: int
) -> dict[str, Any]:
    """Their settings that say what ``settings`` do; a note tells what they cannot say."""
    told: dict[str, Any] = {"max_length": longest}
    if settings.longest_factor == 0.0 and prompted:
        told = {"max_new_tokens": settings.longest_extra}
    elif settings.longest_factor == 0.0:
        told = {"max_length": min(longest, settings.longest_extra + 1)}
    if settings.shortest > 1:
        key, less = ("min_new_tokens", 1) if prompted else ("min_length", 0)
        told[key] = settings.shortest - less
    if settings.no_repeat_ngram is not None:
        told["no_repeat_ngram_size"] = settings.no_repeat_ngram
    if len(settings.prefix) == 1:
        told["forced_bos_token_id"] = token_ids.theirs[settings.prefix[0]]
    told["suppress_tokens"] = suppressed(settings.forbidden, token_ids)
    match settings:
        case BeamSpec():
            _tell_unsaid(settings)
            told |= {"num_beams": settings.size, "length_penalty": settings.length_penalty}
            told |= {"num_return_sequences": settings.n_best} if settings.n_best > 1 else {}
            told |= {"early_stopping": True} if _stops_early(settings) else {}
        case SamplingSpec():
            told |= {"do_sample": True, "temperature": settings.temperature, "top_p": settings.top_p}
            told["top_k"] = 0 if settings.top_k is None else settings.top_k
            told |= {"num_return_sequences": settings.samples} if settings.samples > 1 else {}
        case GreedySpec():
            told |= {"num_beams": 1, "do_sample": False}
    return told


def _tell_unsaid(settings: BeamSpec) -> None:
    """Tell what else ``settings`` have, and transformers does without."""
    unsaid = {
        "coverage_penalty": settings.coverage_penalty if settings.coverage_penalty > 0 else None,
        "ranking": settings.ranking.kind if settings.ranking.compares else None,
        "stopping.factor": settings.stopping.factor
        if isinstance(settings.stopping, Patience) and not _stops_early(settings)
        else None,
    }
    for name, value in unsaid.items():
        if value is not None:
            warnings.warn(
                f"decoding.{name} is {value} in the recipe, which generation_config.json cannot say: "
                "transformers searches without it.",
                WhyformerNote,
                stacklevel=3,
            )


def _stops_early(settings: BeamSpec) -> bool:
    """Whether the search is over when theirs is that has ``early_stopping``."""
    return settings.stopping.enough(settings.size) == settings.size


def suppressed(forbidden: Sequence[int], token_ids: TokenIds) -> list[int]:
    """Their ids of the tokens that never come, padding among them."""
    marks = (PAD, *(mark for mark in forbidden if mark < token_ids.size))
    ids = {token_ids.theirs[mark] for mark in marks} - {token_ids.first[EOS], None}
    return sorted(id for id in ids if id is not None)


def settings_of(config: Mapping[str, Any], generation: Mapping[str, Any] | None, say: Say) -> dict[str, Any]:
    """Their settings: those of generation_config.json, and what only config.json says, as old folders do."""
    if generation is None:
        return dict(config)
    older = {key: config[key] for key in _OLDER if config.get(key) is not None and key not in generation}
    if older:
        say(
            f"{', '.join(older)} stand in config.json and not in generation_config.json, which is all that "
            "transformers reads from version 5; they are read here"
        )
    return {**older, **generation}
