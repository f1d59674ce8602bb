"""Networks: parameter counts by hand, 'same' pooling, starting points, batch normalization."""

import math

import pytest
import torch
from torch import nn

from largebatch.batchnorm import BatchNorm2d
from largebatch.errors import InputError
from largebatch.networks import NetworkSettings, build, describe, initialize, parameter_count
from largebatch.networks.layers import (
    Convolution,
    Dropout,
    SameMaxPool,
    StridedConvolution,
    same_padding,
)
from largebatch.seeding import torch_generator

SMALL = {
    "fully_connected": {"width": 5, "depth": 2},
    "shallow_convolutional": {"width": 2, "dense": [3]},
    "vgg": {"width": 1, "dense": [3]},
}


def make(family: str, shape: tuple[int, ...], classes: int = 4, **options) -> nn.Sequential:
    return build(NetworkSettings(family, options), shape, classes)


def started(family: str, shape: tuple[int, ...], seed: int = 0, **options) -> nn.Sequential:
    network = make(family, shape, **options)
    initialize(network, torch_generator(seed))
    return network


def count(family: str, shape: tuple[int, ...], classes: int, **options) -> int:
    with torch.device("meta"):  # shapes without memory
        return parameter_count(make(family, shape, classes, **options))


# The paper's networks: weights and biases layer by layer, then gains and offsets of batch norm.
F1 = (784 * 512 + 512) + 4 * (512 * 512 + 512) + (512 * 10 + 10) + 5 * 2 * 512
F2 = (360 * 512 + 512) + 6 * (512 * 512 + 512) + (512 * 1973 + 1973) + 7 * 2 * 512
C1_CONVOLUTIONS = (3 * 64 * 25 + 64) + (64 * 64 * 25 + 64) + 2 * 2 * 64
C1_DENSE = (64 * 8 * 8 * 384 + 384) + (384 * 192 + 192) + 2 * 384 + 2 * 192  # 32 -> 16 -> 8
C2_CONVOLUTIONS = (
    ((3 * 64 + 64 * 64) * 9 + 2 * 64 + 2 * 2 * 64)
    + ((64 * 128 + 128 * 128) * 9 + 2 * 128 + 2 * 2 * 128)
    + ((128 * 256 + 2 * 256 * 256) * 9 + 3 * 256 + 3 * 2 * 256)
    + ((256 * 512 + 2 * 512 * 512) * 9 + 3 * 512 + 3 * 2 * 512)
    + (3 * 512 * 512 * 9 + 3 * 512 + 3 * 2 * 512)
)
C2_DENSE = (512 * 512 + 512) + 2 * 512  # 32 pooled five times is 1


@pytest.mark.parametrize(
    ("family", "shape", "classes", "options", "parameters"),
    [
        ("fully_connected", (784,), 10, {}, F1),
        ("fully_connected", (360,), 1973, {"depth": 7}, F2),
        ("shallow_convolutional", (3, 32, 32), 10, {}, C1_CONVOLUTIONS + C1_DENSE + 192 * 10 + 10),
        (
            *("shallow_convolutional", (3, 32, 32), 100, {}),
            C1_CONVOLUTIONS + C1_DENSE + 192 * 100 + 100,
        ),
        ("vgg", (3, 32, 32), 10, {}, C2_CONVOLUTIONS + C2_DENSE + 512 * 10 + 10),
        ("vgg", (3, 32, 32), 100, {}, C2_CONVOLUTIONS + C2_DENSE + 512 * 100 + 100),
    ],
    ids=["F1", "F2", "C1", "C3", "C2", "C4"],
)
def test_the_papers_networks_have_the_parameters_counted_by_hand(
    family, shape, classes, options, parameters
):
    assert count(family, shape, classes, **options) == parameters
    running = count(family, shape, classes, **options, batchnorm="running")
    assert running == parameters  # running statistics are no weights


def test_f1_is_the_number_that_everybody_quotes():
    assert F1 == 1_462_794


def test_odd_sizes_are_pooled_up():
    # 13 -> 7 -> 4 positions of 2 channels before the dense layers.
    convolutions = (1 * 2 * 5 + 2) + (2 * 2 * 5 + 2) + 2 * 2 * 2
    dense = (2 * 4 * 3 + 3) + 2 * 3 + (3 * 4 + 4)
    options = SMALL["shallow_convolutional"]
    assert count("shallow_convolutional", (1, 13), 4, **options) == convolutions + dense
    # A vector is a signal of one channel.
    assert count("shallow_convolutional", (13,), 4, **options) == convolutions + dense


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("shape", [(7,), (1, 13), (3, 40), (1, 9, 5), (3, 33, 32)])
def test_every_family_takes_every_shape(family, shape):
    network = started(family, shape, **SMALL[family])
    outputs = network(torch.rand(3, *shape))
    assert outputs.shape == (3, 4)
    outputs.sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


@pytest.mark.parametrize(
    ("kernel", "length", "windows"),
    [
        # TensorFlow: out = ceil(n / 2), pad = max(2 (out - 1) + k - n, 0), its larger half behind.
        (3, 4, [(0, 3), (2, 4)]),  # pad 1: none before, one behind
        (3, 5, [(0, 2), (1, 4), (3, 5)]),  # pad 2: one on each side
        (3, 1, [(0, 1)]),
        (2, 6, [(0, 2), (2, 4), (4, 6)]),  # pad 0
        (2, 5, [(0, 2), (2, 4), (4, 5)]),  # pad 1: behind
        (4, 5, [(0, 3), (1, 5), (3, 5)]),  # pad 3: one before, two behind
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_pooling_sees_tensorflows_windows(kernel, length, windows, sign):
    # Negative throughout: a padding of zeros would win every window that it is in.
    values = sign * torch.arange(length) - 10.0
    pooled = SameMaxPool(1, kernel, 2)(values.view(1, 1, 1, length))
    assert pooled.flatten().tolist() == [values[a:b].max().item() for a, b in windows]


def test_pooling_of_images_pads_each_side_by_its_own_size():
    image = -torch.rand(2, 3, 4, 5, generator=torch_generator(1)) - 1
    rows, columns = [(0, 3), (2, 4)], [(0, 2), (1, 4), (3, 5)]
    expected = [[image[..., a:b, c:d].amax(dim=(2, 3)) for c, d in columns] for a, b in rows]
    expected = torch.stack([torch.stack(row, dim=-1) for row in expected], dim=-2)
    assert torch.equal(SameMaxPool(2, 3, 2)(image), expected)


def test_weights_start_glorot_uniform_and_biases_at_zero():
    network = make("shallow_convolutional", (3, 8, 8), width=16, dense=[32])
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(7)
    initialize(network, torch_generator(0))
    weighty = [module for module in network if isinstance(module, nn.Linear | nn.Conv2d)]
    fans = [(3 * 25, 16 * 25), (16 * 25, 16 * 25), (16 * 2 * 2, 32), (32, 4)]
    for module, (fan_in, fan_out) in zip(weighty, fans, strict=True):
        bound = math.sqrt(6 / (fan_in + fan_out))
        assert 0.95 * bound < module.weight.abs().max() <= bound
        uniform = bound / math.sqrt(3)  # standard deviation of U(-bound, bound)
        assert module.weight.std().item() == pytest.approx(uniform, rel=0.15)
        assert not module.bias.any()
    norms = [module for module in network if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == 3
    assert all((m.weight == 1).all() and not m.bias.any() for m in norms)


def test_the_generator_is_the_only_source_of_the_start():
    network = make("shallow_convolutional", (1, 9), width=2, dense=[3])
    starts = []
    for seed in (5, 5, 6):
        torch.manual_seed(len(starts))
        before = torch.get_rng_state()
        initialize(network, torch_generator(seed))
        assert torch.equal(before, torch.get_rng_state())
        starts.append(nn.utils.parameters_to_vector(network.parameters()).clone())
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


def test_batch_statistics_are_used_at_test_time_too():
    network = started("fully_connected", (6,), width=5, depth=1).double().eval()
    assert list(network.buffers()) == []
    inputs = torch.rand(8, 6, generator=torch_generator(0)).double()
    dense, last = network[1], network[4]
    hidden = inputs @ dense.weight.T + dense.bias
    hidden = (hidden - hidden.mean(0)) / (hidden.var(0, correction=0) + 1e-5).sqrt()
    expected = hidden.clamp(min=0) @ last.weight.T + last.bias
    torch.testing.assert_close(network(inputs), expected, rtol=0, atol=1e-12)


def test_running_statistics_make_a_sample_independent_of_its_batch():
    network = started("fully_connected", (6,), width=5, depth=2, batchnorm="running")
    names = [name.rpartition(".")[2] for name, _ in network.named_buffers()]
    assert names == 2 * ["running_mean", "running_var", "num_batches_tracked"]
    inputs = torch.rand(8, 6, generator=torch_generator(0))
    network(inputs)
    network.eval()
    torch.testing.assert_close(network(inputs)[:2], network(inputs[:2]))


def short(network: nn.Module) -> str:
    names = {
        **{nn.Flatten: "flat", nn.Linear: "dense", Convolution: "conv", nn.ReLU: "relu"},
        **{nn.BatchNorm1d: "norm", BatchNorm2d: "norm", SameMaxPool: "pool"},
    }
    return " ".join(
        f"drop{module.p}" if isinstance(module, nn.Dropout) else names[type(module)]
        for module in network
    )


def test_blocks_are_layer_norm_relu_dropout():
    assert short(make("fully_connected", (7,), **SMALL["fully_connected"])) == (
        "flat dense norm relu dense norm relu dense"
    )
    assert short(make("shallow_convolutional", (1, 9), width=2)) == (
        "conv norm pool relu conv norm pool relu"
        " flat dense norm relu drop0.5 dense norm relu drop0.5 dense"
    )
    assert short(make("vgg", (1, 9), width=1)) == (
        "conv norm relu drop0.3 conv norm pool relu"
        " conv norm relu drop0.4 conv norm pool relu"
        + 3 * " conv norm relu drop0.4 conv norm relu drop0.4 conv norm pool relu"
        + " flat drop0.5 dense norm relu drop0.5 dense"
    )


def test_pooling_before_relu_has_the_bytes_of_the_papers_order():
    values = torch.randint(-2, 3, (2, 3, 9, 8), generator=torch_generator(1)).float()
    pool, relu, found = SameMaxPool(2, 3, 2), nn.ReLU(), []
    for layers in ((pool, relu), (relu, pool)):
        inputs = values.clone().requires_grad_()
        outputs = nn.Sequential(*layers)(inputs)
        weights = torch.randn(outputs.shape, generator=torch_generator(2))
        (outputs * weights).sum().backward()
        found.append((outputs, inputs.grad))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@pytest.mark.parametrize("sizes", [(4, 4), (5, 4), (1, 6), (2, 3), (32, 32)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 2), (3, 1), (2, 1), (4, 3), (2, 3)])
def test_pooling_without_a_padded_copy_has_the_bytes_of_one_with(kernel, stride, sizes):
    # Few values, so that there are ties: which of the equal cells gets the gradient counts too.
    values = torch.randint(-3, 0, (2, 3, *sizes), generator=torch_generator(1)).float()
    ours, padded = (values.clone().requires_grad_() for _ in range(2))
    found = SameMaxPool(2, kernel, stride)(ours)
    margins = same_padding(padded, (kernel, kernel), (stride, stride))
    expected = nn.functional.max_pool2d(
        nn.functional.pad(padded, margins, value=-torch.inf), kernel, stride
    )
    assert torch.equal(found, expected)
    weights = torch.randn(found.shape, generator=torch_generator(2))
    for outputs in (found, expected):
        (outputs * weights).sum().backward()
    assert torch.equal(ours.grad, padded.grad)


@pytest.mark.parametrize("shape", [(9,), (3, 12)])
def test_signals_as_images_of_one_row_are_what_one_dimensional_layers_make_of_them(shape):
    ours = started("shallow_convolutional", shape, width=4, dense=[5], dropout=0).double()
    channels, features = (1, *shape)[-2], 4 * 3  # 9 -> 5 -> 3 and 12 -> 6 -> 3

    margins = (1, 1) if shape == (9,) else (0, 1)  # odd sizes, even sizes

    def block(inputs: int) -> list[nn.Module]:
        convolution = nn.Conv1d(inputs, 4, 5, padding="same")
        norm = nn.BatchNorm1d(4, track_running_stats=False)
        pad = nn.ConstantPad1d(margins, -torch.inf)
        return [convolution, norm, nn.ReLU(), pad, nn.MaxPool1d(3, 2)]

    dense = [nn.Linear(features, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.ReLU()]
    plain = [*block(channels), *block(4), nn.Flatten(), *dense, nn.Linear(5, 4)]
    plain = nn.Sequential(*plain).double()
    with torch.no_grad():
        for theirs, mine in zip(plain.parameters(), ours.parameters(), strict=True):
            theirs.copy_(mine.view_as(theirs))
    inputs = torch.randn(6, *shape, generator=torch_generator(3)).double()
    found, expected = ours(inputs), plain(inputs.view(6, channels, -1))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    gradients = (
        torch.autograd.grad(out.sin().sum(), net.parameters())
        for out, net in ((found, ours), (expected, plain))
    )
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine.view_as(theirs), theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_dropout_keeps_its_share_and_scales_it_up(rate, dtype):
    values = torch.full((301, 1001), 2.0, dtype=dtype).requires_grad_()  # an odd number of values
    torch.manual_seed(3)
    dropped = Dropout(rate)(values)
    kept = dropped != 0
    deviation = math.sqrt(rate * (1 - rate) / values.numel())
    assert abs(kept.double().mean().item() - (1 - rate)) < 5 * deviation
    # No row, column or neighbour tells of another.
    for means, count in ((kept.double().mean(0), 301), (kept.double().mean(1), 1001)):
        assert (means - (1 - rate)).abs().max() < 6 * math.sqrt(rate * (1 - rate) / count)
    for other in (kept.roll(1, 1), kept.roll(2, 1), kept.roll(1, 0)):
        pair = (kept & other).double().mean().item()
        assert abs(pair - (1 - rate) ** 2) < 10 * deviation
    assert dropped.dtype == dtype
    scaled = torch.tensor(2 / (1 - rate), dtype=dtype)
    torch.testing.assert_close(dropped[kept], scaled.expand(int(kept.sum())))
    dropped.sum().backward()
    torch.testing.assert_close(values.grad, dropped.detach() / 2)


def test_dropout_listens_to_the_default_generator_alone_and_not_at_test_time():
    values, masks = torch.ones(7, 5), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append([Dropout(0.5)(values) for _ in range(2)])
    assert all(map(torch.equal, masks[0], masks[1]))
    assert not torch.equal(*masks[0])
    assert not torch.equal(masks[0][0], masks[2][0])
    before = torch.get_rng_state()
    assert torch.equal(Dropout(0.5).eval()(values), values)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(Dropout(0.0)(values), values)
    assert not Dropout(1.0)(values).any()


def test_dropout_of_zero_leaves_no_layer():
    shallow = make("shallow_convolutional", (1, 9), width=2, dense=[3], dropout=0)
    deep = make("vgg", (1, 9), width=1, dropout=[0, 0, 0])
    assert not any(isinstance(m, nn.Dropout) for m in [*shallow, *deep])


def test_kernels_and_pools_are_the_papers():
    shallow, deep = (make(f, (1, 9, 9), **SMALL[f]) for f in ("shallow_convolutional", "vgg"))
    for network, kernel, window in ((shallow, 5, 3), (deep, 3, 2)):
        convolutions = [m for m in network if isinstance(m, nn.Conv2d)]
        assert {(m.kernel_size, m.stride) for m in convolutions} == {((kernel,) * 2, (1, 1))}
        pools = [m for m in network if isinstance(m, SameMaxPool)]
        assert {(m.kernel, m.stride) for m in pools} == {((window,) * 2, (2, 2))}


def test_only_trainable_weights_count_and_tied_ones_once():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    second.bias.requires_grad_(False)
    assert parameter_count(nn.Sequential(first, second)) == 9 + 3


@pytest.mark.parametrize(
    ("family", "options", "text"),
    [
        ("fully_connected", {}, "fully connected, 5 x 512"),
        ("fully_connected", {"width": 8, "depth": 2}, "fully connected, 2 x 8"),
        ("shallow_convolutional", {}, "shallow convolutional, 2 x 64, dense 384, 192"),
        (
            *("shallow_convolutional", {"width": 3, "depth": 1, "dense": [5]}),
            "shallow convolutional, 1 x 3, dense 5",
        ),
        ("vgg", {}, "deep convolutional (VGG), 13 convolutions from 64 filters"),
        ("vgg", {"width": 32}, "deep convolutional (VGG), 13 convolutions from 32 filters"),
    ],
)
def test_the_description_tells_depth_and_widths_of_the_network(family, options, text):
    assert describe(NetworkSettings(family, options)) == text
    with torch.device("meta"):
        network = make(family, (1, 9), **options)
    built = [m for m in network if isinstance(m, nn.Linear | nn.Conv2d)]
    sizes = [m.weight.shape[0] for m in built]
    depth = len([m for m in built if isinstance(m, nn.Conv2d)]) or len(built) - 1
    assert f"{depth} " in text
    assert f"{sizes[0]}" in text


@pytest.mark.parametrize(
    ("family", "shape", "classes", "options", "words"),
    [
        ("resnet", (7,), 4, {}, ["family", "'resnet'", "fully_connected", "vgg"]),
        ("fully_connected", (7,), 4, {"batchnorm": "none"}, ["batchnorm", "'none'", "running"]),
        ("fully_connected", (7,), 4, {"width": 0}, ["width: 0", "at least 1"]),
        ("fully_connected", (7,), 4, {"depth": -1}, ["depth: -1", "at least 1"]),
        ("fully_connected", (7,), 1, {}, ["classes: 1", "at least 2"]),
        ("fully_connected", (1, 2, 3, 4), 4, {}, ["(1, 2, 3, 4)", "1 to 3 dimensions"]),
        ("fully_connected", (), 4, {}, ["()", "1 to 3 dimensions"]),
        ("fully_connected", (7,), 4, {"dropout": 0.5}, ["fully_connected", "'dropout'"]),
        ("vgg", (7,), 4, {"widht": 64}, ["vgg", "'widht'"]),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(family, shape, classes, options, words):
    with pytest.raises(InputError) as error:
        build(NetworkSettings(family, options), shape, classes)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("length", [4, 5, 8, 9])
def test_a_strided_convolution_pads_as_keras_does(length):
    layer = StridedConvolution(1, 1, 1, 5, 2)
    nn.init.ones_(layer.convolution.weight)
    nn.init.zeros_(layer.convolution.bias)
    values = torch.arange(1.0, length + 1)
    # Keras: ceil(length / 2) outputs; 3 cells of padding for even lengths, the extra one at the end
    before = {0: 1, 1: 2}[length % 2]
    padded = torch.cat([torch.zeros(before), values, torch.zeros(4)])
    sums = [padded[start : start + 5].sum().item() for start in range(0, length, 2)]
    assert layer(values.view(1, 1, 1, -1)).flatten().tolist() == sums


def test_the_stride_may_be_on_the_convolution_as_the_papers_text_has_it():
    pool, strided = (
        make("shallow_convolutional", (3, 9, 9), width=2, dense=[3], stride_on=where)
        for where in ("pool", "convolution")
    )
    sizes = [sum(w.numel() for w in network.parameters()) for network in (pool, strided)]
    assert sizes[0] == sizes[1]
    images = torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    strided.load_state_dict(
        dict(zip(strided.state_dict(), pool.state_dict().values(), strict=True))
    )
    assert not torch.allclose(pool(images), strided(images))
