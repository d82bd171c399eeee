"""The gate between network and protocols: who comes in, what is noted of it, how it is turned away."""
