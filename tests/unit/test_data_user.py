"""The user's own function: called, converted, and blamed by name."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from largebatch.data import check_options, load, prepare, save
from largebatch.data.registry import module_of
from largebatch.errors import InputError

GOOD = """
    import numpy as np

    def load(samples=6, seed=0):
        generator = np.random.default_rng(seed)
        inputs = generator.normal(size=(samples, 4))
        targets = np.arange(samples) % 3
        return {
            "train_inputs": inputs, "train_targets": targets,
            "test_inputs": inputs[:2], "test_targets": targets[:2],
        }

    def four():
        return tuple(load().values())

    constant = 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory; it and modules that tests import from it are forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def write(here):
    def write(text: str, name: str = "mine"):
        path = here / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    return write


def returning(write, expression: str):
    """Prepare what a function returns; `parts(...)` is a right answer with changes."""
    write(
        f"""
        import numpy as np, torch

        def parts(**changes):
            right = {{
                "train_inputs": np.arange(12.0).reshape(4, 3),
                "train_targets": np.array([0, 1, 2, 1]),
                "test_inputs": np.ones((2, 3)),
                "test_targets": np.array([1, 0]),
            }}
            return right | changes

        def load():
            return {expression}
        """
    )
    return prepare("mine:load", {})


def failure(source: str = "mine:load", options: dict | None = None) -> str:
    with pytest.raises(InputError) as error:
        prepare(source, options)
    message = str(error.value)
    assert "\n" not in message
    assert source in message
    return message


def test_a_function_in_the_working_directory_is_called_with_the_options(write, here):
    write(GOOD)
    arrays = prepare("mine:load", {"samples": 9, "seed": 5})
    expected = np.random.default_rng(5).normal(size=(9, 4)).astype(np.float32)
    assert np.array_equal(arrays.train_inputs.numpy(), expected)
    assert arrays.train_inputs.dtype == torch.float32
    assert arrays.train_targets.tolist() == [0, 1, 2] * 3
    assert arrays.test_targets.tolist() == [0, 1]
    assert arrays.classes == 3
    assert (arrays.source, arrays.options) == ("mine:load", {"samples": 9, "seed": 5})
    again = load(save(arrays, here / "saved"))
    assert (again.source, again.class_names) == ("mine:load", None)


def test_a_tuple_of_four_and_a_module_in_a_package_are_right_too(write):
    write(GOOD, "my/data")
    assert prepare("my.data:four", None).train_inputs.shape == (6, 4)


@pytest.mark.parametrize(
    ("expression", "dtype", "first"),
    [
        ("np.arange(12, dtype=np.uint8).reshape(4, 3)", torch.uint8, [0, 1, 2]),
        ("np.arange(12, dtype=np.int16).reshape(4, 3) - 5", torch.float32, [-5, -4, -3]),
        ("np.arange(12, dtype='>f8').reshape(4, 3) / 2", torch.float32, [0, 0.5, 1]),
        ("np.arange(12.0).reshape(4, 3)[::-1]", torch.float32, [9, 10, 11]),
        ("np.eye(4, 3) > 0", torch.float32, [1, 0, 0]),
        ("torch.arange(12.0, requires_grad=True).reshape(4, 3)", torch.float32, [0, 1, 2]),
        ("torch.arange(12).reshape(4, 3).bfloat16()", torch.float32, [0, 1, 2]),
        ("torch.arange(12).reshape(4, 3).half()", torch.float32, [0, 1, 2]),
        ("torch.arange(12).reshape(3, 4).byte().T", torch.uint8, [0, 4, 8]),
    ],
)
def test_inputs_of_other_types_are_converted(write, expression, dtype, first):
    test = "torch.ones(2, 3).byte()" if dtype == torch.uint8 else "np.ones((2, 3))"
    arrays = returning(write, f"parts(train_inputs={expression}, test_inputs={test})")
    assert arrays.train_inputs.dtype == dtype
    assert arrays.train_inputs[0].tolist() == first


@pytest.mark.parametrize("dtype", ["np.uint8", "np.int32", "'>u2'"])
def test_targets_of_any_integer_type_are_taken(write, dtype):
    arrays = returning(write, f"parts(train_targets=np.array([0, 1, 2, 1], {dtype}))")
    assert arrays.train_targets.dtype == torch.int64
    assert arrays.train_targets.tolist() == [0, 1, 2, 1]


def test_classes_and_their_names_may_be_told(write):
    arrays = returning(write, "parts(classes=np.int64(3), class_names=('a', 'b', 'c'))")
    assert (arrays.classes, arrays.class_names) == (3, ["a", "b", "c"])


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("None", "returned a NoneType; it must return a mapping with train_inputs, "),
        ("(1, 2, 3)", "returned a tuple of 3; "),
        ("{'train_inputs': 1}", "returned no train_targets, test_inputs, test_targets; "),
        ("parts(clases=3)", "returned clases too; "),
        ("parts(test_inputs=[[1, 2, 3]])", "test_inputs: is a list; "),
        ("parts(test_inputs=np.ma.ones((2, 3)))", "test_inputs: is a MaskedArray; "),
        ("parts(train_inputs=torch.eye(4, 3).to_sparse())", "train_inputs: cannot be made"),
        ("parts(train_inputs=np.ones((4, 3)) * 1j)", "train_inputs: dtype is complex128; "),
        ("parts(train_inputs=np.array([['a'] * 3] * 4))", "train_inputs: dtype is <U1; "),
        ("parts(train_inputs=np.full((4, 3), -(2**24) - 1))", "train_inputs: has -16777217; "),
        ("parts(train_inputs=np.full((4, 3), 1e39))", "train_inputs: sample 0 holds NaN or inf"),
        ("parts(train_targets=np.ones(4))", "train_targets: dtype is float64; "),
        ("parts(train_targets=np.ones(4, bool))", "train_targets: dtype is bool; "),
        ("parts(train_targets=np.array([0, 1, 2]))", "train_targets: torch.int64 [3]; "),
        ("parts(train_targets=np.array([[0, 1, 2, 1]]))", "train_targets: torch.int64 [1, 4]; "),
        ("parts(test_targets=np.array([0, -1]))", "test_targets: label -1; "),
        ("parts(test_targets=np.array([], int))", "test_targets: torch.int64 [0]; "),
        ("parts(test_targets=np.array([0, 5]))", "no training sample of class 3 "),
        ("parts(test_inputs=np.ones((2, 4)))", "test_inputs are torch.float32 [4], "),
        ("parts(train_inputs=np.ones(4))", "train_inputs: shape is [4]; "),
        ("parts(classes='3')", "classes is '3'; "),
        ("parts(class_names=7)", "class_names are 7; "),
        ("parts(class_names=['a'])", "1 class_names for 3 classes; "),
        ("1 / 0", "the function fails: ZeroDivisionError: division by zero ("),
        ("[][\n        0]", "the function fails: IndexError: list index out of range ("),
    ],
)
def test_what_cannot_be_used_is_named(write, expression, message):
    with pytest.raises(InputError) as error:
        returning(write, expression)
    assert str(error.value).removeprefix("data ").startswith(f"mine:load: {message}")


def test_the_place_of_a_failure_is_told(write, here):
    write("def load():\n    x = 1\n    raise KeyError('colour')")
    place = f"({here / 'mine.py'}, line 3)"
    assert failure() == f"data mine:load: the function fails: KeyError: 'colour' {place}"


def test_options_that_the_function_does_not_take_are_named(write):
    write(GOOD)
    message = failure("mine:load", {"sample": 3})
    assert "got an unexpected keyword argument 'sample'; it is called with sample" in message


def test_what_is_absent_is_named(write, here):
    assert f"there is no module 'mine' in {here} nor among the installed" in failure()
    write(GOOD)
    assert f"{here / 'mine.py'} has no 'lod'" in failure("mine:lod")
    assert "is of type int; it must be a function" in failure("mine:constant")
    assert "there is no module 'mine.data'" in failure("mine.data:load")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def load(:", "SyntaxError"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    ],
)
def test_a_module_that_cannot_be_imported_says_why(write, text, message):
    write(text)
    assert f"mine:load: importing the module fails: {message}" in failure()


@pytest.mark.parametrize("source", [":load", "mine:", "a b:c", "a:b:c", "1:c"])
def test_the_spelling_is_checked(source):
    with pytest.raises(InputError, match=f"data {source}: .* spelled module:function"):
        check_options(source, {})


@pytest.mark.parametrize("source", ["my/data.py:load", "./my/data.py:load", "my/data:load"])
def test_a_file_in_place_of_a_module_is_put_right(source):
    with pytest.raises(InputError, match=r"named as a module; write my\.data:load"):
        check_options(source, {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train-samples": 3}, "mine:load: option 'train-samples' cannot be a keyword"),
        ({"class": 3}, "mine:load: option 'class' cannot be a keyword"),
        ({3: 3}, "mine:load: option 3 cannot be a keyword"),
        ({"x": object()}, "mine:load: options must be plain values"),
        ({"x": {0: 1}}, "keys that are no text; quote them"),
        ({"x": float("inf")}, "mine:load: options must be plain values"),
        (["x"], "mine:load: options must be a mapping"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        check_options("mine:load", options)


def test_checking_imports_neither_the_module_nor_torch_nor_numpy(write, here):
    write("raise SystemExit('imported')")
    code = (
        "import sys; from largebatch.data import check_options; check_options('mine:load', {}); "
        "print([name for name in ('torch', 'numpy', 'mine') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=here
    )
    assert result.stdout.strip() == "[]"


def test_its_code_is_the_module_user():
    assert module_of("mine:load") == "data.user"
