"""Networks of the paper and of the default study, and made-up data of their shapes."""

import itertools

NETWORKS = {
    "F1": {"family": "fully_connected", "shape": (784,), "classes": 10},
    "F2": {
        "family": "fully_connected",
        "options": {"depth": 7},
        "shape": (360,),
        "classes": 1973,
    },
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

    entry = NETWORKS[name]
    if entry["family"] == "fully_connected":
        depth = entry.get("options", {}).get("depth", 5)
        sizes, layers = [*entry["shape"], *depth * [512]], [nn.Flatten()]
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(512, entry["classes"]))
    layers = []
    if entry["family"] == "vgg":
        stacks, channels = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 3
        for stack, (convolutions, filters) in enumerate(stacks):
            for position in range(convolutions):
                layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters)]
                layers.append(nn.ReLU())
                channels = filters
                if position < convolutions - 1:
                    layers.append(nn.Dropout(0.4 if stack else 0.3))
            layers.append(nn.MaxPool2d(2))
        layers += [nn.Flatten(), nn.Dropout(0.5), nn.Linear(512, 512), nn.BatchNorm1d(512)]
        return nn.Sequential(*layers, nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10))
    for channels in (3, 64):
        layers += [nn.Conv2d(channels, 64, 5, padding=2), nn.BatchNorm2d(64), nn.ReLU()]
        layers += [nn.MaxPool2d(3, 2, padding=1)]
    layers.append(nn.Flatten())
    for inputs, outputs in ((4096, 384), (384, 192)):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(192, 10))


def images(name: str, count: int):
    """Return a data set as torchvision's: each image is decoded and transformed when it is taken.

    `MNIST` and `CIFAR10` make a PIL image of an array of bytes, and `ToTensor` floats of that.

    Args:
        name: of a network of images: F1 or C1.
        count: of samples.
    """
    import numpy as np
    import torch
    from PIL import Image
    from torch.utils.data import Dataset

    shape = {"F1": (28, 28), "C1": (32, 32, 3)}[name]
    generator = torch.Generator().manual_seed(2)
    values = torch.randint(256, (count, *shape), dtype=torch.uint8, generator=generator).numpy()
    targets = torch.randint(10, (count,), generator=generator).tolist()

    class Images(Dataset):
        def __len__(self):
            return count

        def __getitem__(self, place):
            image = Image.fromarray(values[place])
            pixels = torch.from_numpy(np.array(image, copy=True))
            pixels = pixels.view(*image.size[::-1], len(image.getbands())).permute(2, 0, 1)
            return pixels.contiguous().to(torch.float32).div(255), targets[place]

    return Images()
