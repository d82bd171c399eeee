"""Speech to text: streams of sound, read as they come."""
