"""Infrared-to-colour video registration: `vr.models`, `vr.train`, `vr.export`, `vr.runtime`."""
