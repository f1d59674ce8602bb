"""A network by name and input shape: the families of Table 1, for any data."""

from largebatch.networks.build import FAMILIES, NetworkSettings, build, describe, parameter_count
from largebatch.networks.initialization import initialize

__all__ = [
    "FAMILIES",
    "NetworkSettings",
    "build",
    "describe",
    "initialize",
    "parameter_count",
]
