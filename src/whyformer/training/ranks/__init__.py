"""Several processes that train one model: how they meet, what they tell each other, how gradients add up."""
