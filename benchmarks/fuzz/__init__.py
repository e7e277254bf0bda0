"""Hostile input: generated and mutated files and texts, shown to what reads them."""
