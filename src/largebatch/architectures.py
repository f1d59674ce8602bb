"""Which keys of a network's entry in a study define the network."""

from largebatch.usercode import is_user

FAMILY_OPTIONS = {
    "fully_connected": ("width", "depth", "batchnorm"),
    "shallow_convolutional": ("width", "depth", "dense", "dropout", "stride_on", "batchnorm"),
    "vgg": ("width", "dense", "dropout", "batchnorm"),
}
USER_OPTIONS = ("options", "batchnorm", "initialization")  # of a family `module:function`
# The paper's networks as entries of a study, and the source of their data.
PAPER_NETWORKS = {
    "F1": ("mnist", "fully_connected", {"width": 512, "depth": 5}),
    "F2": ("timit", "fully_connected", {"width": 512, "depth": 7}),
    "C1": ("cifar10", "shallow_convolutional", {"width": 64, "depth": 2, "dense": [384, 192]}),
    "C2": ("cifar10", "vgg", {"width": 64, "dense": [512]}),
    "C3": ("cifar100", "shallow_convolutional", {"width": 64, "depth": 2, "dense": [384, 192]}),
    "C4": ("cifar100", "vgg", {"width": 64, "dense": [512]}),
}
DEFAULT_DEPTH = {"fully_connected": 5}
BATCHNORM = {"built-in": ("batch", "running"), "user": ("as_is", "batch", "recompute")}


def options_of(family: str) -> tuple[str, ...]:
    """Return the keys that a network of this family may have; none for an unknown family."""
    return USER_OPTIONS if is_user(family) else FAMILY_OPTIONS.get(family, ())


def architecture(network: dict) -> dict:
    """Return the part of a network's entry that defines the network: {family, options}."""
    given = {name: network[name] for name in options_of(network["family"]) if name in network}
    # The function's own keywords; the two other keys say how its module is used.
    options = given.pop("options", {}) | given
    return {"family": network["family"], "options": options}
