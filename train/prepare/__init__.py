"""From recordings to a dataset folder: `vr-train prepare`.

Two passes. The first (`survey`) reads every recording once and keeps a few numbers per frame; from these the offset
in time, the pairs, what is dropped and the split follow (`timing`, `pairing`, `filters`, `splitting`, `plan`). The
second (`writing`) reads again and writes files, one manifest line for each examined pair.
"""
