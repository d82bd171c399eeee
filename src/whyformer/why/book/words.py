"""Words of the book alone, in both languages; those of one place stand in its template."""

from whyformer.why.question import Group, Text

GROUPS: dict[Group, Text] = {
    "attention": Text("attention", "注意力"),
    "positions": Text("positions", "位置"),
    "blocks": Text("blocks and norms", "结构与归一化"),
    "training": Text("training", "训练"),
    "families": Text("families and use", "模型家族与落地"),
}
BOOKS_ERR = Text("Where textbooks err", "教科书说错的")
BOOKS_ERR_NOTE = Text(
    "Predictions of textbooks, or our own, that the measurement contradicts.",
    "教科书的说法，或我们自己的预测，被实测推翻。",
)
ORIGIN_NAMES = (
    Text("Machine", "处理器"),
    Text("Date", "日期"),
    Text("Code", "代码版本"),
    Text("Versions", "软件版本"),
)
"""Names of what is known of a measurement's origin."""
