"""Sums in float64 on every device."""


def double(tensor):
    """Return a tensor in float64; from Apple's GPU, which has none, on the CPU."""
    return tensor.cpu().double() if tensor.device.type == "mps" else tensor.double()
