"""A service: runs that clients ask over HTTP and WebSockets."""
