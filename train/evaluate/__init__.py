"""`vr-train evaluate`: how well a model aligns a folder of pairs, in figures and pictures."""
