"""Arms that several questions compare, and the colour that each has throughout the book."""

from collections.abc import Mapping

from whyformer.why.question import Text

# Scores.
SCALED, UNSCALED = Text("scaled (÷√dₖ)", "缩放（÷√dₖ）"), Text("not scaled", "不缩放")
SMALL_QUERY = Text("control: not scaled, W_Q begins √dₖ times smaller", "对照：不缩放，W_Q 初始值除以 √dₖ")
ADDITIVE = Text("additive (Bahdanau)", "加性注意力（Bahdanau）")
# Positions.
NO_POSITION, SINUSOIDAL = Text("none (NoPE)", "无（NoPE）"), Text("sinusoidal", "正弦（Sinusoidal）")
LEARNED, SHAW = Text("learned (BERT)", "可学习（BERT 式）"), Text("relative (Shaw)", "相对位置（Shaw 2018）")
T5, ROTARY, ALIBI = Text("T5 bias", "T5 偏置"), Text("rotary (RoPE)", "旋转（RoPE）"), Text("ALiBi", "ALiBi")
# Norms.
LAYER_NORM, RMS_NORM = Text("LayerNorm", "LayerNorm"), Text("RMSNorm", "RMSNorm")
BATCH_NORM, NO_NORM = Text("BatchNorm", "BatchNorm"), Text("no norm", "无归一化")
POST_NORM, PRE_NORM = Text("post-LN", "Post-LN"), Text("pre-LN", "Pre-LN")
# Families.
TRANSFORMER, LSTM, GRU = Text("Transformer", "Transformer"), Text("LSTM", "LSTM"), Text("GRU", "GRU")
ENCODER, DECODER = (
    Text("encoder (no mask)", "编码器（无掩码）"),
    Text("decoder (causal)", "解码器（因果掩码）"),
)
BERT, GPT, ELMO = (
    Text("BERT (masked)", "BERT（掩码）"),
    Text("GPT (causal)", "GPT（因果）"),
    Text("ELMo", "ELMo"),
)

# Okabe and Ito's colours, told apart by colour-blind readers too; darkened where they are pale on white.
BLUE, VERMILION, GREEN, PINK = "#0072b2", "#d55e00", "#00795a", "#b0568a"
OCHRE, SKY, GREY, BROWN = "#9a6b00", "#3487b5", "#6b7280", "#7a4a2b"
PALETTE = (BLUE, VERMILION, GREEN, PINK, OCHRE, SKY, BROWN, GREY)
"""For arms of one question alone, those first that it does not use yet."""

COLORS: Mapping[Text, str] = {
    SCALED: BLUE, UNSCALED: VERMILION, ADDITIVE: GREEN, SMALL_QUERY: OCHRE,
    NO_POSITION: GREY, SINUSOIDAL: BLUE, LEARNED: PINK, SHAW: GREEN, T5: OCHRE, ROTARY: VERMILION, ALIBI: SKY,
    LAYER_NORM: BLUE, RMS_NORM: GREEN, BATCH_NORM: VERMILION, NO_NORM: GREY,
    POST_NORM: VERMILION, PRE_NORM: BLUE,
    TRANSFORMER: BLUE, LSTM: VERMILION, GRU: OCHRE, ENCODER: GREEN, DECODER: PINK,
    BERT: BLUE, GPT: PINK, ELMO: VERMILION,
}  # fmt: skip
