"""The paper's networks and made-up data of their shapes, for the rows."""

F1 = {"family": "fully_connected", "shape": (784,), "classes": 10}
C1 = {"family": "shallow_convolutional", "shape": (3, 32, 32), "classes": 10}


def started(network: dict, **options):
    """Return a network of these shapes at a random starting point, the same at each call."""
    from largebatch.networks import NetworkSettings, build
    from largebatch.seeding import torch_generator

    settings = NetworkSettings(network["family"], options)
    return build(settings, network["shape"], network["classes"], torch_generator(1))


def samples(network: dict, count: int):
    """Return made-up inputs (count, ...) and targets (count,), the same at each call."""
    import torch

    from largebatch.seeding import torch_generator

    generator = torch_generator(2)
    inputs = torch.randn(count, *network["shape"], generator=generator)
    return inputs, torch.randint(network["classes"], (count,), generator=generator)
