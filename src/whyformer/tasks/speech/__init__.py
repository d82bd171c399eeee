"""Speech recognition: sound in, words out as they are spoken."""
