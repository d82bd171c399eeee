"""The paper model: what a training needs on other machines and more ranks, computed without them."""
