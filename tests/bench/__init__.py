"""Cameras that misbehave on purpose: coded frames, camera processes, and what spoils their streams."""
