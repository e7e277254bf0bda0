"""Infrared-to-colour video registration: `vr.models`, `vr.train`, `vr.export`, `vr.runtime`."""

from pkgutil import extend_path

# In the root of the repository this folder comes before an installed copy of the package and would hide its parts.
__path__ = extend_path(__path__, __name__)
