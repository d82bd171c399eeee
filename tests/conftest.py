"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# Test workers share the cores with each other and with whatever else runs: a deadline would measure that.
settings.register_profile("shared-cores", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared-cores")
