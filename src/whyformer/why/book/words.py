"""Words of the book alone, in both languages."""

from whyformer.why.question import Group, Text

GROUPS: dict[Group, Text] = {
    "attention": Text("attention", "注意力"),
    "positions": Text("positions", "位置"),
    "blocks": Text("blocks and norms", "结构与归一化"),
    "training": Text("training", "训练"),
    "families": Text("families and use", "模型家族与落地"),
}
ERRORS_OF_BOOKS = Text("Where textbooks err", "教科书说错的")
