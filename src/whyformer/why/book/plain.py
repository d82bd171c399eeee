"""Plain text of the prose's Markdown and of its small formulas, for where neither can be set."""

import re

# Commands and their signs; others are words, such as \log.
_SIGNS = {
    "cdot": "·", "times": "×", "sum": "Σ", "prod": "Π", "to": "→", "rightarrow": "→", "Rightarrow": "⇒",
    "approx": "≈", "propto": "∝", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠",
    "in": "∈", "infty": "∞", "partial": "∂", "nabla": "∇", "pm": "±", "ldots": "…", "dots": "…",
    "cdots": "⋯", "ll": "≪", "gg": "≫", "sim": "~", "top": "ᵀ", "langle": "⟨", "rangle": "⟩", "odot": "⊙",
    "oplus": "⊕", "lVert": "‖", "rVert": "‖", "Vert": "‖", "mid": "|", "alpha": "α", "beta": "β",
    "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "eta": "η", "theta": "θ", "lambda": "λ",
    "mu": "μ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ", "omega": "ω",
    "Delta": "Δ", "Sigma": "Σ", "Omega": "Ω", "Theta": "Θ", "ell": "ℓ", "Big": "", "big": "", "bigl": "",
    "bigr": "", "left": "", "mathbb": "", "mathbf": "", "mathcal": "", "mathrm": "", "operatorname": "",
    "qquad": "", "quad": "", "right": "", "text": "",
}  # fmt: skip
_SUBSCRIPTS = str.maketrans("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
_SUPERSCRIPTS = str.maketrans("0123456789+-=()nTi", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿᵀⁱ")
_GROUP = r"\{((?:[^{}]|\{[^{}]*\})*)\}"


def plain_text(markdown: str) -> str:
    r"""One line of Markdown without its signs, formulas in Unicode.

    >>> plain_text(r"**Divide** by $\sqrt{d_k}$, see `why 3` and [Q08](q08.html): $\frac{1}{d_k}$")
    'Divide by √dₖ, see why 3 and Q08: 1/dₖ'
    >>> plain_text("*not* scaled: 2 * 3 * 4")
    'not scaled: 2 * 3 * 4'
    """
    pieces = re.split(r"(\$\$.*?\$\$|\$[^$]*\$)", markdown, flags=re.DOTALL)
    return "".join(
        plain_formula(piece.strip("$")) if piece.startswith("$") else _without_signs(piece)
        for piece in pieces
    )


def plain_formula(latex: str) -> str:
    r"""A formula on one line, as one would type it.

    >>> plain_formula(r"\mathrm{Var}(q \cdot k) = \sum_{i=1}^{d_k} \mathrm{Var}(q_i k_i)")
    'Var(q · k) = Σᵢ₌₁^(dₖ) Var(qᵢ kᵢ)'
    """
    text = latex.replace("\\\\", "; ").replace("&", "")
    text = re.sub(r"\\[,;:! ]", " ", text)
    for _ in range(4):  # what is nested is found from the inside out
        text = re.sub(rf"\\d?frac{_GROUP}{_GROUP}", lambda m: f"{_enclosed(m[1])}/{_enclosed(m[2])}", text)
        text = re.sub(rf"\\sqrt{_GROUP}", lambda m: f"√{_enclosed(m[1])}", text)
        text = re.sub(rf"\\(?:hat|bar|tilde|overline){_GROUP}", r"\1", text)
        text = re.sub(rf"\\(?:mathbb|mathrm|mathbf|mathcal|text|operatorname){_GROUP}", r"\1", text)
    text = re.sub(r"\\([A-Za-z]+)", lambda m: _SIGNS.get(m[1], m[1]), text)
    text = re.sub(rf"_(?:{_GROUP}|(\w))", lambda m: _small(m[1] or m[2], "_", _SUBSCRIPTS), text)
    text = re.sub(rf"\^(?:{_GROUP}|(\w|ᵀ|−|\*))", lambda m: _small(m[1] or m[2], "^", _SUPERSCRIPTS), text)
    return re.sub(r"\s+", " ", text.replace("{", "").replace("}", "").replace("\\", "")).strip()


def _small(text: str, sign: str, small: dict[int, int]) -> str:
    """An index or exponent in small signs, if there are such for all of it."""
    if text == "ᵀ":
        return text
    if all(ord(letter) in small for letter in text):
        return text.translate(small)
    inner = re.sub(r"_(\w)", lambda m: _small(m[1], "_", _SUBSCRIPTS), text)
    return f"{sign}{inner}" if len(inner) == 1 else f"{sign}({inner})"


def _enclosed(text: str) -> str:
    """A part of a fraction or root, in brackets where it would fall apart."""
    return text if re.fullmatch(r"[\w.]+(_\w|_\{\w+\})?|\\\w+", text) else f"({text})"


def _without_signs(text: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\*(\S(?:[^*]*\S)?)\*", r"\1", text.replace("**", "")).replace("`", "")
