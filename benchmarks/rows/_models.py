"""Networks of the paper and of the default study, and made-up data of their shapes."""

import itertools

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


def plain(name: str):
    """Return the network as a user would write it, with PyTorch's own layers and settings."""
    from torch import nn

    if name == "F1":
        sizes, layers = [784] + 5 * [512], [nn.Flatten()]
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(512, 10))
    layers = []
    for channels in (3, 64):
        layers += [nn.Conv2d(channels, 64, 5, padding=2), nn.BatchNorm2d(64), nn.ReLU()]
        layers += [nn.MaxPool2d(3, 2, padding=1)]
    layers.append(nn.Flatten())
    for inputs, outputs in ((4096, 384), (384, 192)):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(192, 10))
