"""Small networks and runs on which remedies are tested: float64, dropout and batch norm."""

import torch
from torch import nn

from largebatch.seeding import derive_seed, torch_generator
from largebatch.training import TrainingSettings, train
from largebatch.training.parts import Facts
from largebatch.training.remedies import make


def generator(purpose: str = "test") -> torch.Generator:
    return torch_generator(derive_seed(11, purpose))


def samples(count: int = 22, shape: tuple[int, ...] = (4,)):
    inputs = torch.randn(count, *shape, generator=torch_generator(3), dtype=torch.float64)
    return inputs, torch.randint(0, 3, (count,), generator=torch_generator(4))


def network(shape=(4,), *, norm: str | None = "running", dropout: float = 0.3) -> nn.Sequential:
    """Dense, batch norm, ReLU, dropout, dense; weights by a fixed seed, batch norm's too."""
    features = torch.Size(shape).numel()
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(features, 6)]
    if norm is not None:
        layers.append(nn.BatchNorm1d(6, track_running_stats=norm == "running"))
    layers += [nn.ReLU(), nn.Dropout(dropout), nn.Linear(6, 3)]
    module = nn.Sequential(*layers).double()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            drawn = torch.randn(weight.shape, generator=torch_generator(2), dtype=torch.float64)
            scale = name == "2.weight" and norm is not None
            weight.copy_(1 + 0.2 * drawn if scale else 0.7 * drawn)
    return module


def linear(weight) -> nn.Sequential:
    """Two classes by logits (0, w x): the loss is log(1 + exp(-y w x)), y = -1 or 1."""
    weight = torch.as_tensor(weight, dtype=torch.float64)
    module = nn.Sequential(nn.Linear(len(weight), 2, bias=False)).double()
    with torch.no_grad():
        module[0].weight.copy_(torch.stack([torch.zeros_like(weight), weight]))
    return module


def trained(module, entries, data=None, **settings):
    """Train under the remedies `entries` and return the outcome."""
    data = samples() if data is None else data
    settings = {"batch_size": 8, "epochs": 2, "learning_rate": 0.05} | settings
    return train(
        *(module, data, data, TrainingSettings(**settings)),
        shuffle=torch_generator(5),
        dropout_seed=6,
        remedies=make(entries),
        generator=generator,
    )


def same(first: dict, second: dict) -> bool:
    """Whether two states have the same names and bits."""
    return list(first) == list(second) and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


def facts(**changes) -> Facts:
    """Those of a run on 100 images of values in [0, 1]."""
    known = {"samples": 100, "input_shape": (1, 28, 28), "input_range": (0.0, 1.0)}
    known |= {"class_counts": (50, 50), "small_batch_size": 10, "batch_norm": True}
    return Facts(**(known | {"settings": TrainingSettings(batch_size=50)} | changes))


def problems(entries: dict, **changes) -> list[str]:
    """What does not fit of the one remedy in `entries`."""
    (remedy,) = make(entries)
    return list(remedy.problems(facts(**changes)))
