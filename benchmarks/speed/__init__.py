"""How fast: frames per second, latency, memory; see `benchmarks.speed.__main__`."""
