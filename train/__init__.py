"""From folders of pairs to checkpoints: data, losses, loops, evaluation, and the command `vr-train`."""
