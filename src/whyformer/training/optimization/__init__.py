"""How weights change: optimizers, and the learning rate of each step."""
