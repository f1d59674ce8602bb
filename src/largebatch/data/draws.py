"""Subsets and splits drawn from a seed, with the same share of every class."""

from largebatch.errors import InputError


def draw(labels, count: int | None, generator, key: str):
    """Return `count` positions in `labels` in random order, of each class in proportion.

    The random order matters: networks are evaluated on consecutive batches, and their statistics
    must not be those of one class.

    Args:
        labels: int array (N,) of classes.
        count: how many, from the number of classes to N; None: all.
        generator: numpy Generator; one permutation of N is drawn from it, whatever `count` is.
        key: the option's name for error messages.

    Returns:
        int64 array (count,). Every class of `labels` is in it.

    Raises:
        InputError: `count` is out of range.
    """
    import numpy as np

    labels = np.asarray(labels)
    order = generator.permutation(len(labels))
    if count is None:
        return order
    classes, sizes = np.unique(labels, return_counts=True)
    if not len(classes) <= count <= len(labels):
        raise InputError(
            f"{key}: {count} of {len(labels)} samples in {len(classes)} classes; it must be in "
            f"{len(classes)}..{len(labels)}"
        )
    return order[_first_of_each(labels[order], classes, shares(sizes, count))]


def split(labels, test_fraction: float, generator):
    """Return positions for training and for testing, each in random order.

    Args:
        labels: int array (N,) of classes, each with two samples at least.
        test_fraction: in (0, 1); every class has at least one sample in each part.
        generator: numpy Generator.
    """
    import numpy as np

    labels = np.asarray(labels)
    order = generator.permutation(len(labels))
    classes, sizes = np.unique(labels, return_counts=True)
    count = min(max(round(test_fraction * len(labels)), len(classes)), len(labels) - len(classes))
    testing = _first_of_each(labels[order], classes, shares(sizes, count, leave=1))
    return np.delete(order, testing), order[testing]


def shares(sizes, count: int, leave: int = 0):
    """Divide `count` among classes in proportion to `sizes`, at least one and at most size - leave.

    Largest remainders are rounded up; of equal ones that of the first class.

    Args:
        sizes: int array (classes,), each above `leave`.
        count: from the number of classes to sum(sizes - leave).

    Returns:
        int64 array (classes,) with the sum `count`.
    """
    import numpy as np

    sizes = np.asarray(sizes)
    ideal = count * sizes / sizes.sum()
    given = np.clip(count * sizes // sizes.sum(), 1, sizes - leave)
    while given.sum() < count:
        given[np.where(given < sizes - leave, ideal - given, -np.inf).argmax()] += 1
    while given.sum() > count:
        given[np.where(given > 1, given - ideal, -np.inf).argmax()] -= 1
    return given


def _first_of_each(labels, classes, counts):
    """Return the sorted positions of the first `counts[k]` labels of class `classes[k]`."""
    import numpy as np

    chosen = [
        np.flatnonzero(labels == name)[:count] for name, count in zip(classes, counts, strict=True)
    ]
    return np.sort(np.concatenate(chosen))
