"""Four real processes that exchange weights by gloo have the iterates of the simulation."""

import time
from datetime import timedelta
from functools import partial

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing as mp
from torch import nn
from torch.nn import functional

from largebatch.seeding import torch_generator
from largebatch.storage import read_tensors, write_tensors
from largebatch.training import TrainingSettings
from largebatch.training.decentralized import RULES
from largebatch.training.distributed import NeighbourMix
from largebatch.training.parts import Context, Facts, assemble
from largebatch.training.remedies.decentralized import Decentralized
from largebatch.training.topologies import TOPOLOGIES, mixing_matrix

WORKERS, STEPS, BETA, DECAY = 4, 6, 0.9, 0.01
SECONDS = 60  # for a loaded machine; it takes about five
RATES = [0.2, 0.2, 0.1, 0.1, 0.05, 0.05]
CASES = [(a, t) for a in RULES for t in TOPOLOGIES]

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch without gloo"
)


def problem():
    inputs = torch.randn(8 * STEPS, 4, generator=torch_generator(0), dtype=torch.float64)
    targets = torch.randint(0, 3, (8 * STEPS,), generator=torch_generator(1))
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch_generator(2)))
    return module, list(zip(inputs.split(8), targets.split(8), strict=True))


def gradient_at(module: nn.Module, x: torch.Tensor, inputs, targets) -> torch.Tensor:
    nn.utils.vector_to_parameters(x.clone(), module.parameters())
    loss = functional.cross_entropy(module(inputs), targets)
    found = torch.autograd.grad(loss, list(module.parameters()))
    return torch.cat([part.flatten() for part in found]) + DECAY * x


def worker(rank: int, folder: str) -> None:
    """Run all cases as one of the processes: it sees its own share of each batch alone."""
    torch.set_num_threads(1)
    dist.init_process_group(
        *("gloo", f"file://{folder}/store"),
        rank=rank,
        world_size=WORKERS,
        timeout=timedelta(seconds=SECONDS),
    )
    module, batches = problem()
    start = nn.utils.parameters_to_vector(module.parameters()).detach()
    iterates = {}
    for algorithm, topology in CASES:
        mix = NeighbourMix(mixing_matrix(topology, WORKERS))
        x, m = start, torch.zeros_like(start)
        for step, (inputs, targets) in enumerate(batches):
            mine = slice(2 * rank, 2 * rank + 2)
            g = gradient_at(module, x, inputs[mine], targets[mine])
            x, m = RULES[algorithm](x, m, g, mix, RATES[step], BETA)
            iterates[f"{algorithm} {topology} {step}"] = x
    write_tensors(f"{folder}/{rank}.safetensors", iterates)
    dist.destroy_process_group()


def run_processes(folder) -> None:
    """Start the workers and wait for them; none is left, whatever happens."""
    context = mp.spawn(worker, (str(folder),), WORKERS, join=False)
    end = time.monotonic() + SECONDS
    try:
        while not context.join(timeout=1):
            assert time.monotonic() < end, f"the workers took more than {SECONDS} seconds"
    finally:
        for process in context.processes:
            process.kill()
            process.join(10)


def simulated(algorithm: str, topology: str) -> list[torch.Tensor]:
    module, batches = problem()
    momentum = 0.0 if algorithm == "dsgd" else BETA
    settings = TrainingSettings(8, 1, None, "sgd", 0.1, momentum, DECAY)
    facts = Facts(8 * STEPS, (4,), (-1.0, 1.0), (8 * STEPS,), 8, settings, False)
    options = {"algorithm": algorithm, "workers": WORKERS, "topology": topology}
    parts = assemble([Decentralized(**options)], Context(facts, module, torch.zeros(0), None))

    def gradient(inputs, targets):
        parts.optimizer.zero_grad()
        loss = functional.cross_entropy(module(inputs), targets)
        loss.backward()
        return loss.detach()

    found = []
    for rate, batch in zip(RATES, batches, strict=True):
        parts.optimizer.param_groups[0]["lr"] = rate
        parts.update.step(gradient, *batch)
        found.append(parts.update.x)
    return found


def test_processes_have_the_iterates_of_the_simulation(tmp_path):
    run_processes(tmp_path)
    results = [read_tensors(tmp_path / f"{rank}.safetensors") for rank in range(WORKERS)]
    close = partial(torch.testing.assert_close, rtol=0, atol=1e-12)
    for algorithm, topology in CASES:
        for step, x in enumerate(simulated(algorithm, topology)):
            close(torch.stack([r[f"{algorithm} {topology} {step}"] for r in results]), x)
        assert topology == "full" or (x[0] - x[1]).abs().max() > 1e-4  # they are not all the same


def test_a_matrix_of_another_size_is_refused(tmp_path):
    dist.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        with pytest.raises(ValueError, match=r"\(2, 2\) for a group of 1"):
            NeighbourMix(mixing_matrix("ring", 2))
        values = torch.arange(3.0)
        assert torch.equal(NeighbourMix(mixing_matrix("ring", 1))(values), values)
    finally:
        dist.destroy_process_group()
