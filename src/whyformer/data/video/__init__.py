"""Moving pictures: files, frames, and the video that the recipes make."""
