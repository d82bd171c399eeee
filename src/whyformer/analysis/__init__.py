"""Analysis: what a trained model does, where its time goes, what it is made of."""
