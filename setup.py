"""Maps the folders at the root of the repository to the packages `vr.<folder>`.

The list is computed, not written down: a hand-kept list silently drops new sub-packages from the wheel.
"""

from setuptools import find_packages, setup

FOLDERS = ("models", "train", "export", "runtime")

packages = ["vr"]
for folder in FOLDERS:
    packages += [f"vr.{folder}"] + [f"vr.{folder}.{name}" for name in find_packages(folder)]

setup(packages=packages, package_dir={f"vr.{folder}": folder for folder in FOLDERS})
