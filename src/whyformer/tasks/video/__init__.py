"""Recognition of video: pictures in, events out as they pass, and a label for each chunk."""
