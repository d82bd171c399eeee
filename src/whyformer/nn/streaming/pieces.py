"""Consequences of a mask for input that comes in pieces: what to keep, and how far a layer may look ahead."""

from whyformer.attention.mask import Both, Chunk, Either, Everything, Rule


def memory(rule: Rule) -> int | None:
    """Positions before a piece that some query of it may see, so that a cache must keep them; None = all.

    A piece begins where ``rule.exact_in_pieces`` says that it may.

    >>> from whyformer.attention.mask import Causal
    >>> memory(Chunk(size=4, left_chunks=2)), memory(Chunk(size=4)), memory(Causal())
    (8, None, None)
    """
    match rule:
        case Chunk(size=size, left_chunks=left):
            return None if left is None else left * size
        case Both(first=first, second=second):
            known = [kept for kept in (memory(first), memory(second)) if kept is not None]
            return min(known, default=None)
        case Either(first=first, second=second):
            one, other = memory(first), memory(second)
            return None if one is None or other is None else max(one, other)
        case _:
            return rule.visible_range.back


def same_when_shifted(rule: Rule, by: int) -> bool:
    """Whether ``rule`` allows the same between tokens that all stand ``by`` positions later.

    >>> from whyformer.attention.mask import Causal
    >>> [same_when_shifted(Chunk(size=4), by) for by in (2, 8)], same_when_shifted(Causal(), 2)
    ([False, True], True)
    """
    match rule:
        case Chunk(size=size):
            return by % size == 0
        case Both(first=first, second=second) | Either(first=first, second=second):
            return same_when_shifted(first, by) and same_when_shifted(second, by)
        case _:
            return True


def chunk_size(rule: Rule) -> int | None:
    """Positions of the chunks inside which a layer may look ahead: 1 for not at all, None for the whole.

    >>> from whyformer.attention.mask import Causal
    >>> [chunk_size(rule) for rule in (Chunk(size=4), Everything(), Causal())]
    [4, None, 1]

    Raises:
        ValueError: the rule has no chunks.
    """
    match rule:
        case Chunk(size=size):
            return size
        case Everything():
            return None
        case _ if rule.causal:
            return 1
        case _:
            raise ValueError(
                f"a convolution cannot look ahead by the mask {rule!r}, which has no chunks; use a mask of "
                "kind chunk, causal or everything, or convolution.reach: causal"
            )
