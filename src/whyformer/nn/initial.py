"""First weights from one normal distribution, as BERT and GPT have them."""

from collections.abc import Callable

from torch import nn

from whyformer.position.absolute import Learned


def draw_matrices(model: nn.Module, deviation: float, shrink: Callable[[str], float] | None = None) -> None:
    """Draw matrices and learned positions of ``model`` from N(0, deviation²); token tables stay as they are.

    Args:
        model: biases, where it has any, become zero.
        deviation: standard deviation.
        shrink: by a layer's name, what its deviation is divided by; 1 if left out.
    """
    for name, module in model.named_modules():
        match module:
            case nn.Linear():
                nn.init.normal_(module.weight, std=deviation / (shrink(name) if shrink else 1.0))
                if module.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]
                    nn.init.zeros_(module.bias)
            case nn.Embedding():
                nn.init.normal_(module.weight, std=deviation)
            case Learned():
                nn.init.normal_(module.table, std=deviation)
            case _:
                pass
