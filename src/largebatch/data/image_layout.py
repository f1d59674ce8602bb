"""Which class and which part of the data set each image belongs to, told by the folders' names."""

from dataclasses import dataclass

from largebatch.data.tree import PARTS, Tree
from largebatch.errors import InputError


@dataclass(frozen=True)
class Layout:
    """The images of a tree with their classes.

    Args:
        class_names: the names of the class folders, sorted; the k-th is class k.
        files: paths, training before testing, each sorted.
        labels: their classes.
        test_from: position of the first testing image; None: the split is still to be drawn.
    """

    class_names: list[str]
    files: list[str]
    labels: list[int]
    test_from: int | None


def read_layout(tree: Tree) -> Layout:
    """Read `{train,test}/{class}/*` or `{class}/*`.

    Raises:
        InputError: another layout, an empty class folder, or a class that only testing has; names
            what is wrong.
    """
    given = [part for part in PARTS if any(f.startswith(f"{part}/") for f in tree.folders)]
    if len(given) == 1:
        other = PARTS[given == ["train"]]
        raise InputError(f"{tree.name}: has a folder {given[0]} with classes, but no such {other}")
    if given:
        others = sorted(f for f in tree.folders if "/" not in f and f not in PARTS)
        if others:
            raise InputError(
                f"{tree.name}: has {_list(others)} beside train and test; nothing else may be there"
            )
    _check_places(tree, depth=3 if given else 2)
    found = {prefix: _classes(tree, prefix) for prefix in [f"{p}/" for p in given] or [""]}
    empty = sorted(pre + n for pre, classes in found.items() for n in classes if not classes[n])
    if empty:
        raise InputError(f"{tree.name}: no images in {_list(empty)}; a class folder must have one")
    known, *others = found.values()
    unknown = sorted({name for classes in others for name in classes} - set(known))
    if unknown:
        raise InputError(f"{tree.name}: test has classes that train lacks: {_list(unknown)}")
    names = sorted(known)
    if len(names) < 2:
        raise InputError(f"{tree.name}: has one class, {names[0]}; a data set needs at least two")
    pairs = [
        (path, label)
        for classes in found.values()
        for label, name in enumerate(names)
        for path in classes.get(name, ())
    ]
    test_from = sum(map(len, known.values())) if given else None
    return Layout(names, [path for path, _ in pairs], [label for _, label in pairs], test_from)


def _classes(tree: Tree, prefix: str) -> dict[str, list[str]]:
    """Return class -> paths of its images, for the class folders right below `prefix`."""
    below = {f.removeprefix(prefix) for f in tree.folders if f.startswith(prefix)}
    classes = {name: [] for name in below if "/" not in name}
    for path in tree.files:
        if path.startswith(prefix):
            classes[path.removeprefix(prefix).split("/")[0]].append(path)
    return classes


def _check_places(tree: Tree, depth: int) -> None:
    """Refuse images that lie in no class folder: leaving them out would go unnoticed."""
    if not tree.files:
        raise InputError(f"{tree.name}: holds no images")
    for path in tree.files:
        if path.count("/") != depth - 1:
            raise InputError(
                f"{tree.name}: {path} is out of place; images must lie in "
                f"{'{train,test}/' if depth == 3 else ''}{{class}}/"
            )


def _list(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more
