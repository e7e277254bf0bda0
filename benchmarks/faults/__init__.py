"""What a live run makes of cameras that misbehave."""
