"""Recognition of what arrives bit by bit, by a streaming encoder and CTC: what sound and video share."""
