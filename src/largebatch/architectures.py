"""Which keys of a network's entry in a study define the network."""

from largebatch.usercode import is_user

FAMILY_OPTIONS = {
    "fully_connected": ("width", "depth", "batchnorm"),
    "shallow_convolutional": ("width", "depth", "dense", "dropout", "stride_on", "batchnorm"),
    "vgg": ("width", "dense", "dropout", "batchnorm"),
}
USER_OPTIONS = ("options", "batchnorm", "initialization")  # of a family `module:function`
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
