"""The user's own images: everything that can be wrong with them."""

import zipfile

import pytest
from pictures import classes_only, folder_of, png, split_given, zip_of

from largebatch.data import prepare
from largebatch.errors import InputError


def read(path, **options):
    return prepare("image-folder", {"path": str(path), **options})


def failure(path, **options) -> str:
    with pytest.raises(InputError) as error:
        read(path, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_without_size_the_first_that_differs_is_named(tmp_path):
    files = split_given()
    files |= {"train/cat/2.png": png(1, 1, 1, size=(3, 2)), "train/cat/3.png": png(1, size=(9, 9))}
    message = failure(folder_of(files, tmp_path))
    assert "train/cat/2.png is 3 x 2, but test/cat/1.png is 2 x 3" in message
    assert "`size`" in message


def test_all_broken_images_are_named_in_one_error(tmp_path):
    files = split_given() | {f"train/cat/b{k:02}.png": png(1, 1, 1)[:-30] for k in range(11)}
    files |= {
        "test/cat/c.jpg": b"GIF89a",
        "test/cat/d.png": b"",
        "train/ant/C.png": png(5, size=(9, 9)),
    }
    message = failure(folder_of(files, tmp_path))
    assert "13 of 19 images cannot be read" in message
    assert "test/cat/c.jpg (no image of a known format)" in message
    assert message.count("b0") == 8
    assert message.endswith(" and 3 more")
    assert "9 x 9" not in message


def test_images_that_were_not_drawn_are_not_read(tmp_path):
    files = split_given() | {"test/cat/1.png": b"broken", "test/cat/2.png": png(30, 0, 0)}
    top = folder_of(files, tmp_path)
    assert "test/cat/1.png" in failure(top)
    assert {is_read(top, test_samples=1, seed=seed) for seed in range(10)} == {True, False}


def is_read(path, **options) -> bool:
    try:
        read(path, **options)
    except InputError:
        return False
    return True


def without(*names: str) -> dict[str, bytes]:
    return {name: content for name, content in split_given().items() if name not in names}


@pytest.mark.parametrize("pack", [folder_of, zip_of])
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": b""}, "holds no images"),
        (without("test/cat/1.png"), "a folder train with classes, but no such test"),
        ({**split_given(), "val/cat/1.png": png(1)}, "has val beside train and test"),
        ({**split_given(), "test/dog/1.png": png(1)}, "classes that train lacks: dog"),
        ({**split_given(), "train/dog/": b""}, "no images in train/dog;"),
        ({**split_given(), "test/ant/x.txt": b"x", "test/ant/": b""}, "no images in test/ant;"),
        ({"a/1.png": png(1), "b/2.png": png(1), "c/": b""}, "no images in c;"),
        (
            {**split_given(), "1.png": png(1)},
            r"1\.png is out of place; .* in {train,test}/{class}/",
        ),
        ({"a/1.png": png(1), "b/2.png": png(1), "3.png": png(1)}, r"3\.png is out of place"),
        ({"a/1.png": png(1), "b/c/2.png": png(1)}, r"b/c/2\.png is out of place; .* in {class}/"),
        ({"a/1.png": png(1), "b/c/d/2.png": png(1)}, r"b/c/d/2\.png is out of place"),
        ({"a/1.png": png(1), "a/2.png": png(1)}, "has one class, a; "),
        ({"a/1.png": png(1), "a/2.png": png(1), "b/1.png": png(1)}, "only one image of class b"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_other_layouts_are_refused(tmp_path, pack, files, message):
    path = pack(files, tmp_path)
    with pytest.raises(InputError, match=rf"{path}: {message}|{path}: .*{message}"):
        read(path)


def test_too_few_samples_for_every_class_are_refused(tmp_path):
    top = folder_of(classes_only({"a": 4, "bb": 4, "ccc": 4}), tmp_path)
    message = "image-folder.train_samples: 2 of 9 samples in 3 classes; it must be in 3..9"
    assert message in failure(top, test_fraction=0.25, train_samples=2)
    assert "test_samples: 4 of 3" in failure(top, test_fraction=0.25, test_samples=4)


@pytest.mark.parametrize("content", [b"no zip", b"", b"PK\x05\x06" + bytes(10)])
def test_what_is_no_zip_is_refused(tmp_path, content):
    path = tmp_path / "images.zip"
    path.write_bytes(content)
    message = f"image-folder.path: {path}: cannot be read as a zip archive"
    assert failure(path).startswith(message)


def test_a_damaged_member_is_named(tmp_path):
    path = zip_of(split_given(), tmp_path)
    content = path.read_bytes()
    path.write_bytes(
        content.replace(split_given()["train/cat/2.png"], b"x" * len(png(12, 0, 0)), 1)
    )
    assert "train/cat/2.png (cannot be unpacked (Bad CRC-32" in failure(path)


def test_an_absurd_member_is_refused_before_it_is_unpacked(tmp_path):
    path = zip_of(split_given(), tmp_path)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"train/cat/2.png") - 46  # its entry in the central directory
    content[place + 24 : place + 28] = (3_000_000_000).to_bytes(4, "little")
    path.write_bytes(content)
    assert "train/cat/2.png says it has 3000000000 bytes" in failure(path)


@pytest.mark.filterwarnings("ignore:Duplicate")
def test_a_file_twice_in_a_zip_is_refused(tmp_path):
    path = zip_of(split_given(), tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train/cat/2.png", png(1, 2, 3))
    assert "holds train/cat/2.png twice" in failure(path)


def test_a_path_that_does_not_exist_is_named(tmp_path):
    message = failure(tmp_path / "nowhere")
    assert message.startswith(f"image-folder.path: {tmp_path / 'nowhere'} does not exist")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": None}, "image-folder.path: None is not allowed; give the folder"),
        ({"path": ""}, "image-folder.path: '' "),
        ({"size": 0}, r"image-folder.size: 0 .* integer in 1\.\."),
        ({"size": [4]}, r"image-folder.size: \[4\] .* \[height, width\]"),
        ({"size": [4, 0.5]}, "image-folder.size: 0.5 "),
        ({"size": "big"}, "image-folder.size: 'big' "),
        ({"channels": 4}, "image-folder.channels: 4 .* 1 or 3"),
        ({"channels": True}, "image-folder.channels: True "),
        ({"test_fraction": 1}, "image-folder.test_fraction: 1 "),
        ({"train_samples": 0}, "image-folder.train_samples: 0 "),
        ({"seed": -1}, "image-folder.seed: -1 "),
    ],
)
def test_bad_values_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        prepare("image-folder", {"path": "images", **options})
