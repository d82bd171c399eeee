"""The files of a training: weights, state, metrics, curves; and its report while it runs."""
