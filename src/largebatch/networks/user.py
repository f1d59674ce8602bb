"""The user's own network: a function `module:function` that returns a torch module."""

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from largebatch.errors import InputError
from largebatch.networks.initialization import initialize
from largebatch.usercode import call, check_name, told

# Options that are ours, not the function's; the first value is the default.
CHOICES = {"batchnorm": ("as_is", "batch", "recompute"), "initialization": ("own", "glorot")}


def check_user(family: str, options: dict) -> None:
    """Raise InputError unless the name and our options are right. Imports nothing of the user's."""
    check_name("network", family)
    for key in ("input_shape", "classes"):
        if key in options:
            raise InputError(f"{key}: {options[key]!r}; it is told by the data, leave it out")
    for key, known in CHOICES.items():
        if options.get(key, known[0]) not in known:
            raise InputError(f"{key}: unknown {options[key]!r}; one of {', '.join(known)}")


def build_user(
    family: str,
    options: dict,
    input_shape: tuple[int, ...],
    classes: int,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Return `function(input_shape=..., classes=..., **options)`, checked, on the CPU.

    The function may draw from torch's global random state: it is seeded for the call, and the
    caller's is left as it was.

    Args:
        family: `module:function`.
        options: for the function, and two keys that it does not get to see:
            `batchnorm`: `as_is` (default) leaves the layers alone: eval mode uses running
            statistics where a layer has them. `batch` makes all of them use the statistics of the
            batch, in training and after it: the trainable weights alone define f. `recompute` is
            `as_is` whose statistics are always recomputed at interpolated points.
            `initialization`: `own` (default) keeps what the function sets; `glorot` sets Glorot
            uniform weights and zero biases in dense and convolution layers.
        input_shape: of one sample.
        classes: columns of the output.
        generator: seeds the start; None means that weights will be loaded.

    Raises:
        InputError: what is wrong with the function or its network, in one line.
    """
    chosen = {key: options.get(key, known[0]) for key, known in CHOICES.items()}
    rest = {key: value for key, value in options.items() if key not in CHOICES}
    keywords = {"input_shape": input_shape, "classes": classes, **rest}
    seed = 0
    if generator is not None:
        seed = int(torch.randint(2**63 - 1, (), generator=generator))
    network = _construct(family, keywords, seed)
    _check_weights(family, network)
    if generator is not None:
        _check_reproducible(family, network, _construct(family, keywords, seed))
        if chosen["initialization"] == "glorot":
            initialize(network, generator)
    if chosen["batchnorm"] == "batch":
        for layer in network.modules():
            if isinstance(layer, _BatchNorm):
                layer.track_running_stats = False
                layer.running_mean = layer.running_var = layer.num_batches_tracked = None
    _check_outputs(family, network, input_shape, classes)
    return network


def describe_user(family: str, options: dict) -> str:
    """Return `module:function (key=value, ...)`."""
    listed = ", ".join(f"{key}={value}" for key, value in options.items())
    return f"{family} ({listed})" if listed else family


def _construct(family: str, keywords: dict, seed: int) -> nn.Module:
    # Not starting CUDA for it: until it is started, its seed is only noted down.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        network = call("network", family, copy.deepcopy(keywords))
    if not isinstance(network, nn.Module):
        kind = type(network).__name__
        raise InputError(f"network {family}: returns {kind}; it must return a torch.nn.Module")
    return network.cpu()


def _check_weights(family: str, network: nn.Module) -> None:
    if any(map(is_lazy, network.parameters())) or any(map(is_lazy, network.buffers())):
        raise InputError(
            f"network {family}: has lazy layers, whose weights do not exist yet; take their sizes "
            "from input_shape"
        )
    kinds = sorted({str(p.dtype) for p in network.parameters() if p.requires_grad})
    if kinds != ["torch.float32"]:
        found = " and ".join(kinds) or "missing"
        raise InputError(
            f"network {family}: trainable parameters are {found}; there must be some, all of them "
            "torch.float32, as the data are"
        )
    for name, value in network.state_dict().items():
        if not isinstance(value, torch.Tensor):
            kind = type(value).__name__
            raise InputError(f"network {family}: {name} of its state is {kind}; it must be tensors")


def _check_reproducible(family: str, network: nn.Module, again: nn.Module) -> None:
    """SB and LB would not share their start if the function drew from elsewhere."""
    first, second = network.state_dict(), again.state_dict()
    for name in sorted(first.keys() | second.keys()):
        a, b = first.get(name), second.get(name)
        same = a is not None and b is not None and a.shape == b.shape
        if not same or not bool(((a == b) | ((a != a) & (b != b))).all()):
            raise InputError(
                f"network {family}: {name} differs between two calls with the same torch seed; "
                "draw it with torch's global generator, which is seeded for you"
            )


@torch.no_grad()
def _check_outputs(family: str, network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    """Two passes over two samples, on a copy: statistics and caches of the network stay."""
    size = (2, *shape)
    inputs = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        try:
            probe = copy.deepcopy(network).eval()
            outputs, again = probe(inputs), probe(inputs)
        except Exception as error:
            raise InputError(
                f"network {family}: a pass over {size} inputs fails: {told(error)}"
            ) from error
    found = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
    if found != (2, classes):
        raise InputError(
            f"network {family}: gives {found} for {size} inputs; it must be (2, {classes}), "
            "one score a class"
        )
    if not torch.allclose(outputs, again, rtol=1e-4, atol=1e-5, equal_nan=True):
        raise InputError(
            f"network {family}: two passes over the same inputs differ in eval mode; randomness "
            "must be off there, as in torch.nn.Dropout"
        )
