"""Sound: files, sampling rates, features, augmentation, and the spoken data of the recipes."""
