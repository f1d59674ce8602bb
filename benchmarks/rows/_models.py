"""Networks of the paper and of the default study, and made-up data of their shapes."""

NETWORKS = {
    "F1": {"family": "fully_connected", "shape": (784,), "classes": 10},
    "C1": {"family": "shallow_convolutional", "shape": (3, 32, 32), "classes": 10},
    "C2": {"family": "vgg", "shape": (3, 32, 32), "classes": 10},
    # Of the default study.
    "F1 of MNIST-1D": {
        "family": "fully_connected",
        "options": {"width": 256},
        "shape": (40,),
        "classes": 10,
    },
}


def started(name: str, trial: int = 0):
    """Return a network of NETWORKS at a random starting point, the same for the same trial."""
    from largebatch.networks import NetworkSettings, build
    from largebatch.seeding import torch_generator

    network = NETWORKS[name]
    settings = NetworkSettings(network["family"], network.get("options", {}))
    return build(settings, network["shape"], network["classes"], torch_generator(trial))


def samples(name: str, count: int):
    """Return made-up inputs (count, ...) and targets (count,), the same at each call."""
    import torch

    from largebatch.seeding import torch_generator

    network, generator = NETWORKS[name], torch_generator(2)
    inputs = torch.randn(count, *network["shape"], generator=generator)
    return inputs, torch.randint(network["classes"], (count,), generator=generator)


def with_plain_layers(network):
    """Put PyTorch's own pooling layer, which a user would write, in place of ours; return it."""
    from torch import nn

    from largebatch.networks.layers import SameMaxPool

    for name, layer in network.named_children():
        if isinstance(layer, SameMaxPool):
            network.register_module(name, nn.MaxPool2d(layer.kernel, layer.stride, ceil_mode=True))
    return network
