"""Classification by a pretrained model."""
