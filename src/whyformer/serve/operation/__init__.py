"""Operation of a service: limits, keys, hosts, metrics, logs, health, and an orderly end."""
