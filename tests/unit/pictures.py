"""Small pictures, and folders and archives of them, for the tests of image data."""

import io
import zipfile

import numpy as np
from PIL import Image


def png(*colour: int, size=(2, 3)) -> bytes:
    """A picture (height, width) of one colour."""
    pixels = np.full((*size, len(colour)), colour, np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if len(colour) == 1 else pixels).save(stream, "png")
    return stream.getvalue()


def split_given() -> dict[str, bytes]:
    """Each picture has a red value of its own."""
    return {
        "train/cat/2.png": png(12, 0, 0),
        "train/cat/10.png": png(10, 0, 0),
        "train/ant/a.png": png(20, 1, 2),
        "train/ant/B.PNG": png(21, 0, 0),
        "test/cat/1.png": png(30, 0, 0),
    }


def classes_only(each: dict[str, int]) -> dict[str, bytes]:
    return {
        f"{name}/{k}.png": png(k, len(name), 0)
        for name, count in each.items()
        for k in range(count)
    }


def folder_of(files: dict[str, bytes], top):
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content)
    return top


def zip_of(files: dict[str, bytes], top, prefix: str = ""):
    path = top / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(prefix + name, content)
    return path
