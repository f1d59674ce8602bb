"""All that a run's next step depends on, as one tree of tensors and numbers, and back."""

import dataclasses
from collections.abc import Callable

import torch

from largebatch.errors import InputError


class Generators:
    """Gives each purpose its generator, and remembers them all.

    Args:
        make: purpose -> generator; None: there are none to be had.
    """

    def __init__(self, make: Callable[[str], torch.Generator] | None):
        self.make = make
        self.made: dict[str, torch.Generator] = {}

    def __call__(self, purpose: str) -> torch.Generator:
        if self.make is None:
            raise InputError(
                f"generator: none was given; the remedy draws random numbers ({purpose})"
            )
        self.made[purpose] = self.make(purpose)
        return self.made[purpose]


class Everything:
    """The state of a run between two steps.

    Args:
        run: with network, outcome, epoch, order and losses, see `loop`.
        parts: of the run.
        shuffle: the generator of the order of the samples.
        generators: the remedies'.
    """

    def __init__(self, run, parts, shuffle: torch.Generator, generators: Generators):
        self.run, self.parts, self.shuffle, self.generators = run, parts, shuffle, generators

    def state(self) -> dict:
        """Return it, for `Checkpoint.save`."""
        run, parts = self.run, self.parts
        cuda = next(run.network.parameters()).device.type == "cuda"
        return {
            **{name: getattr(run, name) for name in ("epoch", "order", "losses")},
            "outcome": {
                field.name: getattr(run.outcome, field.name)
                for field in dataclasses.fields(run.outcome)
            },
            "network": dict(run.network.state_dict()),
            "optimizer": parts.optimizer.state_dict(),
            **{name: getattr(parts, name).state() for name in _PARTS},
            "shuffle": self.shuffle.get_state(),
            "generators": {name: g.get_state() for name, g in self.generators.made.items()},
            "dropout": torch.get_rng_state(),
            "dropout_cuda": torch.cuda.get_rng_state() if cuda else None,
        }

    def restore(self, state: dict) -> None:
        """Put the run where it was. It must have been made by the same arguments."""
        run, parts = self.run, self.parts
        device = next(run.network.parameters()).device
        run.epoch, run.losses = state["epoch"], state["losses"]
        run.order = None if state["order"] is None else state["order"].to(device)
        for name, value in _moved(state["outcome"], device).items():
            setattr(run.outcome, name, value)
        run.network.load_state_dict(state["network"])
        parts.optimizer.load_state_dict(state["optimizer"])
        for name in _PARTS:
            getattr(parts, name).restore(_moved(state[name], device))
        self.shuffle.set_state(state["shuffle"])
        for name, generator in self.generators.made.items():
            generator.set_state(state["generators"][name])
        torch.set_rng_state(state["dropout"])
        if state["dropout_cuda"] is not None:
            torch.cuda.set_rng_state(state["dropout_cuda"])


_PARTS = ("loss", "update", "rate", "average")


def _moved(value, device: torch.device):
    """Return a tree with its tensors on the run's device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _moved(inner, device) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_moved(inner, device) for inner in value)
    return value
