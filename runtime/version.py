"""The version of the installed package."""

from importlib import metadata

DISTRIBUTION = "vr-registration"


def package_version() -> str:
    """For example "0.1.0"; "unknown" when the source tree is used without being installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"
