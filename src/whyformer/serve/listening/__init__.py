"""Live sound: what clients say, session by session, computed together."""
