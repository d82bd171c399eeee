"""What keeps a service up and in bounds: limits, keys, ids, metrics, logs, health, and an orderly end."""
