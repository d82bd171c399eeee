"""Answers as people may give them, and the points that they have; by the first list the guess was tuned."""

from whyformer.language import Language

Answer = tuple[Language, int, str, set[int]]
"""Language, number of the question, the answer, and indices of the points that it has."""

TUNED_BY: list[Answer] = [
    (
        "en",
        1,
        (
            "A single head gives one softmax distribution per position, which sums to one, so it can only "
            "take one average. With several heads we get several distributions. The width d is split "
            "among them, so parameters and compute stay the same."
        ),
        {0, 1},
    ),
    ("en", 1, "More heads means more capacity and the model attends to different subspaces.", set()),
    (
        "en",
        3,
        (
            "Because the dot product of two vectors with independent components of mean zero and variance "
            "one has variance d_k, dividing by sqrt(d_k) brings it back to one. Otherwise the softmax "
            "saturates and gradients vanish."
        ),
        {0, 1},
    ),
    ("en", 3, "To make numbers smaller. It is good for training stability.", set()),
    (
        "en",
        7,
        (
            "We add a large negative number to the scores of padded keys before the softmax, the mask is "
            "broadcast over heads and queries. In fp16 you cannot use -1e9 because it is out of range. "
            "Cross-attention needs the source mask as well. The loss ignores padding."
        ),
        {0, 1, 3, 4},
    ),
    (
        "en",
        10,
        (
            "Self-attention is permutation equivariant, so without positions it does not know the order. "
            "Note that a causal mask gives some order information too."
        ),
        {0, 1},
    ),
    (
        "en",
        11,
        (
            "LayerNorm normalises over the features of one token, BatchNorm over the batch. So LayerNorm "
            "works the same in training and inference, for any batch size and length. BatchNorm leaks "
            "information from later tokens via the batch statistics."
        ),
        {0, 1, 2},
    ),
    (
        "en",
        14,
        (
            "Queries come from the decoder, keys and values from the last encoder layer, in every decoder "
            "layer. Only the padding mask is used, no causal mask. K and V can be cached since they are "
            "computed once per sentence."
        ),
        {0, 1, 2},
    ),
    (
        "en",
        17,
        (
            "BPE merges the most frequent pair, WordPiece the pair with the best likelihood score. "
            "WordPiece uses ## for continuation, unknown characters make the whole word [UNK]. Byte-level "
            "BPE has no unknown tokens. There is also Unigram which prunes a big vocabulary."
        ),
        {0, 1, 2, 3},
    ),
    (
        "en",
        19,
        (
            "RNNs are sequential, attention has constant path length between any two tokens, but costs "
            "quadratic in length and needs positional encodings. RNNs have constant memory, so they are "
            "better for streaming on small devices."
        ),
        {0, 1, 3},
    ),
    (
        "en",
        25,
        (
            "Linear warmup then linear decay. Adam's second moment estimates are noisy at the start; "
            "post-LN has large gradients in last layers, so it depends on where the norm is."
        ),
        {0, 1},
    ),
    (
        "en",
        29,
        (
            "It is an MLP applied to each position separately with shared weights. It contains two thirds "
            "of the parameters of the layer. One can see it as a key-value memory."
        ),
        {0, 2, 3},
    ),
    (
        "en",
        30,
        (
            "Tokens are generated one after the other so decoding is sequential. The KV cache is exact "
            "because the causal mask means earlier states never change. It takes memory which multi-query "
            "attention shrinks."
        ),
        {0, 1, 2},
    ),
    (
        "zh",
        1,
        (
            "一个头只有一个注意力分布，权重和为一；多个头就有多个分布。每头分到 d/h 维，所以参数量和计算"
            "量不变。"
        ),
        {0, 1},
    ),
    ("zh", 1, "多头可以关注不同的子空间，类似 CNN 的多个通道。", set()),
    (
        "zh",
        3,
        (
            "假设 q 和 k 各分量独立、均值为 0、方差为 1，那么点积的方差是 dk，除以根号 dk 之"
            "后方差为 1，否则 softmax 会饱和，梯度消失。"
        ),
        {0, 1},
    ),
    (
        "zh",
        4,
        (
            "同一层里各个位置可以并行计算，但层与层之间是串行的。训练时用 teacher forcing 加"
            "因果掩码。束搜索的各个候选也可以并行。缺点是有曝光偏差。"
        ),
        {0, 1, 3, 4},
    ),
    (
        "zh",
        7,
        (
            "在 softmax 之前给填充的键加一个很大的负数，对所有头和查询广播。fp16 下不能用 -1"
            "e9。交叉注意力用源句的掩码。计算损失时要去掉填充位置。"
        ),
        {0, 1, 3, 4},
    ),
    (
        "zh",
        10,
        "自注意力是置换等变的，不加位置编码就不知道顺序。解码器的因果掩码本身也带来顺序信息。",
        {0, 1},
    ),
    (
        "zh",
        11,
        "LN 沿一个词元的特征做归一化，BN 沿一批样本。LN 训练和推理一样，和批量大小、长度无关。",
        {0, 1},
    ),
    (
        "zh",
        14,
        (
            "Q 来自解码器，K、V 来自编码器最后一层的输出，每个解码层都有。只用填充掩码，没有因果掩码。K"
            "、V 每句只需算一次并缓存。"
        ),
        {0, 1, 2},
    ),
    (
        "zh",
        19,
        (
            "RNN 必须串行，注意力任意两点路径长度是常数，每层计算量是平方级的，还要位置编码。RNN 内存"
            "恒定，适合小设备上的流式处理。"
        ),
        {0, 1, 3},
    ),
    (
        "zh",
        29,
        "对每个位置单独作用的两层 MLP，各位置共享权重，占三分之二的参数，可以理解成键值记忆。",
        {0, 2, 3},
    ),
    (
        "zh",
        30,
        (
            "解码只能一个一个词元地写，是串行的。因为有因果掩码，前面的状态不变，所以缓存是精确的。缓存占内存"
            "，可以用多查询注意力减小。"
        ),
        {0, 1, 2},
    ),
]

UNSEEN: list[Answer] = [
    (
        "en",
        2,
        (
            "With the same matrix the score matrix would be symmetric, a Gram matrix, and the diagonal "
            "would be large so every token mostly attends to itself. Relations with a direction get lost."
        ),
        {0, 1},
    ),
    (
        "en",
        6,
        (
            "Padding mask hides the padded tokens of the source, causal mask stops the decoder from "
            "looking at the future. The causal one is not used in cross-attention. Without it training "
            "leaks the answer."
        ),
        {0, 2, 3},
    ),
    (
        "en",
        8,
        (
            "Both have the same complexity but dot products can use optimised matrix multiplication. "
            "Additive attention is better without scaling for large d_k."
        ),
        {0, 2},
    ),
    (
        "en",
        12,
        (
            "Originally after the residual sum: norm(x + f(x)). Pre-LN puts it inside the branch, x + "
            "f(norm(x)), and needs a final norm. The identity path lets gradients through, so it trains "
            "without warm-up even if deep."
        ),
        {0, 1, 2},
    ),
    (
        "en",
        15,
        (
            "They use the same formula with a different mask: the decoder's is causal, so its states can "
            "be cached for generation. Both need the padding mask. The encoder looks at both sides."
        ),
        {0, 1, 2, 3},
    ),
    (
        "en",
        20,
        (
            "Learned absolute embeddings, sinusoids, relative ones like Shaw or T5 that change the score, "
            "and RoPE, which rotates queries and keys. Rotary depends on the difference only."
        ),
        {0, 2},
    ),
    (
        "en",
        26,
        (
            "Multi-head attention mixes positions, the feed-forward network works within one position. "
            "Each has a residual connection and a LayerNorm."
        ),
        {0, 1},
    ),
    ("en", 26, "I would use PyTorch's nn.TransformerEncoder with six layers.", set()),
    (
        "zh",
        2,
        (
            "共用一个矩阵的话，分数矩阵是对称的，也就是格拉姆矩阵，对角线会偏大。这样有方向的关系就表达不出来"
            "了。"
        ),
        {0, 1},
    ),
    (
        "zh",
        6,
        (
            "填充掩码屏蔽源句的填充，因果掩码不让解码器看到未来。两个掩码用与合并，在 softmax 之前加"
            "上。交叉注意力不用因果掩码。没有因果掩码会泄露答案。"
        ),
        {0, 2, 3},
    ),
    ("zh", 8, "两者复杂度量级一样，只是常数不同，点积可以用矩阵乘法，硬件优化得好。", {0}),
    (
        "zh",
        12,
        (
            "Post-LN 是 norm(x+f(x))，Pre-LN 是 x+f(norm(x))，最后还"
            "要多一次归一化。Pre-LN 的残差通路是恒等的，梯度能直接传下去，所以不用预热也能训练很深的模"
            "型。"
        ),
        {0, 1, 2},
    ),
    (
        "zh",
        15,
        (
            "公式一样，掩码不同：解码器用因果掩码，状态可以缓存；编码器两侧都能看到，适合理解任务。填充掩码两"
            "边都要。"
        ),
        {0, 1, 2, 3},
    ),
    ("zh", 20, "绝对位置加在词向量上，相对位置改注意力分数，RoPE 旋转查询和键，只依赖相对距离。", {0, 2}),
    (
        "zh",
        26,
        (
            "注意力负责位置之间的混合，前馈网络在每个位置内部做变换，都有残差和归一化。没有位置编码就分辨不出"
            "顺序。"
        ),
        {0, 1, 2},
    ),
    ("zh", 26, "一般是六层，每层维度 512。", set()),
]
