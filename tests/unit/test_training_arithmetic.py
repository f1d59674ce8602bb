"""TF32 and bfloat16 in training steps: where they act, and where they must not."""

import pytest
import torch

from largebatch.errors import InputError
from largebatch.networks import NetworkSettings, build
from largebatch.seeding import torch_generator
from largebatch.training import TrainingSettings, train
from largebatch.training.arithmetic import precise

CPU = torch.device("cpu")


def trained(precision: str, **settings):
    network = build(NetworkSettings("fully_connected", {"width": 8}), (6,), 3, torch_generator(1))
    inputs = torch.randn(40, 6, generator=torch_generator(2))
    data = inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0)
    settings = TrainingSettings(
        **{"batch_size": 10, "epochs": 4, "learning_rate": 0.01} | settings, precision=precision
    )
    outcome = train(*(network, data, data, settings), shuffle=torch_generator(3), dropout_seed=4)
    return outcome, network


def test_bfloat16_rounds_the_products_and_nothing_else():
    left = torch.tensor([[1 + 2**-9]])  # a bfloat16 has 8 bits: this is rounded to 1
    with precise("bfloat16", CPU):
        product = left @ torch.ones(1, 1)
        total = left + left
    assert product.dtype == torch.bfloat16
    assert product.item() == 1
    assert total.item() == 2 + 2**-8
    assert (left @ torch.ones(1, 1)).item() == 1 + 2**-9  # outside again float32


def test_a_run_in_bfloat16_is_near_the_float32_run_and_keeps_float32_weights():
    (plain, _), (rounded, network) = trained("float32"), trained("bfloat16")
    assert rounded.history[0] == plain.history[0]  # evaluations are float32
    assert rounded.history[1] != plain.history[1]  # steps are not
    for mine, other in zip(rounded.history, plain.history, strict=True):
        assert mine["train_loss"] == pytest.approx(other["train_loss"], rel=0.05)
    assert {w.dtype for w in rounded.weights.values()} == {torch.float32}
    assert {w.grad.dtype for w in network.parameters()} == {torch.float32}


def test_a_step_in_bfloat16_follows_the_float32_gradient():
    """One step of SGD from the same weights: directions agree to the rounding of the factors."""
    steps = []
    for precision in ("float32", "bfloat16"):
        outcome, _ = trained(precision, optimizer="sgd", batch_size=40, epochs=1)
        before, _ = trained("float32", optimizer="sgd", batch_size=40, epochs=0)
        pairs = [(outcome.weights[k] - before.weights[k]).flatten() for k in before.weights]
        steps.append(torch.cat(pairs))
    cosine = torch.nn.functional.cosine_similarity(*steps, dim=0)
    assert 0.99 < cosine < 1 - 1e-9


def test_tf32_is_switched_on_inside_the_block_alone():
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = False
        with precise("tf32", torch.device("cuda")):
            assert [switch.allow_tf32 for switch in switches] == [True, True]
        assert [switch.allow_tf32 for switch in switches] == [False, False]
        with pytest.raises(ZeroDivisionError), precise("tf32", torch.device("cuda")):
            raise ZeroDivisionError
        assert [switch.allow_tf32 for switch in switches] == [False, False]
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def test_tf32_without_a_cuda_gpu_is_refused_before_the_first_epoch():
    with pytest.raises(InputError, match="precision: tf32; only CUDA GPUs have it"):
        trained("tf32")


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="precision: 'float16'; it must be one of float32, tf32"):
        TrainingSettings(8, precision="float16")
