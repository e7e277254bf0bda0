"""The networks and the spatial transformer: torch and nothing else."""
