"""The registration networks by name."""

from typing import Any

from vr.models.affine import AffineNet
from vr.models.base import RegistrationNet
from vr.models.dense import DenseNet
from vr.models.match import MatchNet
from vr.models.rig import RigNet
from vr.models.voxelmorph import VoxelMorphNet

NETWORKS: dict[str, type[RegistrationNet]] = {
    net.network: net for net in (AffineNet, VoxelMorphNet, MatchNet, RigNet, DenseNet)
}


def build(network: str, config: dict[str, Any]) -> RegistrationNet:
    """A new network from its name and its constructor's arguments (`RegistrationNet.config`).

    Raises ValueError on an unknown name, an unknown argument, or a size that the network cannot take.
    """
    if network not in NETWORKS:
        raise ValueError(f"unknown network {network!r}; expected one of {', '.join(NETWORKS)}")
    try:
        return NETWORKS[network](**config)
    except TypeError as error:
        raise ValueError(f"the {network} network does not take this configuration: {error}") from error
