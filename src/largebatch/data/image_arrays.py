"""Images in class folders to the arrays of a data set, with the samples drawn from a seed."""

from largebatch.data import draws
from largebatch.data.image_layout import Layout, read_layout
from largebatch.data.images import read_images
from largebatch.data.tree import Tree
from largebatch.errors import InputError


def convert(tree: Tree, options: dict, source: str) -> dict:
    """Return what a dataset's `prepare` does; images that were not drawn are not looked at.

    Args:
        tree: laid out as `read_layout` says.
        options: `size`, `channels`, `test_fraction` (where no split is given), `train_samples`,
            `test_samples`, `seed`; see `image_folder.OPTIONS`.
        source: the dataset's name for error messages.

    Raises:
        InputError: another layout, images that cannot be read, too few of a class.
    """
    import numpy as np

    layout = read_layout(tree)
    positions = _draw(layout, options, source, tree.name)
    names = [layout.files[k] for part in positions.values() for k in part]
    size = options["size"]
    size = (size, size) if isinstance(size, int) else size and tuple(size)
    images = read_images(tree.read, names, options["channels"], size, tree.name)
    labels, train = np.array(layout.labels, np.int64), len(positions["train"])
    return {
        "train_inputs": images[:train],
        "train_targets": labels[positions["train"]],
        "test_inputs": images[train:],
        "test_targets": labels[positions["test"]],
        "classes": len(layout.class_names),
        "class_names": layout.class_names,
    }


def _draw(layout: Layout, options: dict, source: str, name: str) -> dict:
    """Return for train and test the positions of their images in `layout.files`, in their order."""
    import numpy as np

    generator = np.random.default_rng(options["seed"])
    labels = np.array(layout.labels)
    if layout.test_from is None:
        single = np.flatnonzero(np.bincount(labels) == 1)
        if len(single):
            raise InputError(
                f"{name}: only one image of class {layout.class_names[single[0]]}; training and "
                "testing need one each"
            )
        train, test = draws.split(labels, options["test_fraction"], generator)
    else:
        train, test = np.split(np.arange(len(labels)), [layout.test_from])
    positions = {"train": train, "test": test}
    for part, every in positions.items():
        count, key = options[f"{part}_samples"], f"{source}.{part}_samples"
        positions[part] = every[draws.draw(labels[every], count, generator, key)]
    return positions
