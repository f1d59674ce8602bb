"""The bias of decentralized training on linear regression, its closed form, table and figure."""

import itertools

import pandas as pd
import pytest
import torch

from largebatch.plots import figure_bias, style
from largebatch.stages import decentralized_bias
from largebatch.training.bias import (
    Regression,
    bias_rows,
    fixed_point,
    iterates,
    regression,
    settled_error,
)
from largebatch.training.decentralized import RULES
from largebatch.training.topologies import mixing_matrix

BIASED = ("ring", "mesh", "exponential")


def bias(problem, topology, algorithm, lr, beta) -> float:
    point = fixed_point(problem, mixing_matrix(topology, 8), algorithm, lr, beta)
    return problem.squared_error(point).item()


@pytest.mark.parametrize("topology", [*BIASED, "full"])
@pytest.mark.parametrize("algorithm", RULES)
def test_iterates_converge_to_the_closed_form(topology, algorithm):
    problem, matrix, betas = regression([1], 8), mixing_matrix(topology, 8), [0.5, 0.8]
    x = next(itertools.islice(iterates(problem, matrix, algorithm, 1e-3, betas), 1500, None))
    for k, beta in enumerate(betas):
        expected = fixed_point(problem, matrix, algorithm, 1e-3, beta)[..., 0]
        torch.testing.assert_close(x[..., k], expected, rtol=0, atol=1e-10)


def test_the_closed_form_satisfies_its_equation():
    problem, matrix = regression([1, 2], 8), mixing_matrix("ring", 8)
    x = fixed_point(problem, matrix, "dmsgd", 1e-3, 0.8)
    stepped = x - 5e-3 * problem.gradients(x)
    mixed = torch.einsum("ij,jpab->ipab", matrix, stepped)
    torch.testing.assert_close(mixed, x, rtol=0, atol=1e-12)


def test_the_solution_minimizes_the_sum():
    problem = regression([1, 2], 8)
    here = problem.solution.expand(8, -1, -1, -1)
    assert problem.gradients(here).sum(0).abs().max() < 1e-9
    assert problem.gradients(here).abs().max() > 1  # the workers do not agree on it


@pytest.mark.parametrize("topology", BIASED)
def test_the_ratio_goes_to_the_square_of_the_momentum_factor(topology):
    problem = regression([1], 8)
    for beta, theory in ((0.5, 4.0), (0.9, 100.0)):
        misses = []
        for lr in (1e-4, 1e-5, 1e-6):
            plain = bias(problem, topology, "dsgd", lr, 0.0)
            assert bias(problem, topology, "decentlam", lr, beta) == pytest.approx(plain, rel=1e-9)
            misses.append(theory / bias(problem, topology, "dmsgd", lr, beta) * plain - 1)
        assert misses[0] > 5 * misses[1] > 25 * misses[2] > 0
        assert misses[2] < 0.01


def test_workers_with_the_same_data_have_no_bias():
    one = regression([1], 1)
    same = Regression(one.hessians.repeat(8, 1, 1, 1), one.moments.repeat(8, 1, 1, 1))
    for algorithm in RULES:
        error = settled_error(same, mixing_matrix("ring", 8), algorithm, 1e-3, [0.8])
        assert error.item() < 1e-16
        assert bias(same, "ring", algorithm, 1e-3, 0.8) < 1e-20


def test_what_diverges_has_no_error():
    error = settled_error(regression([1]), mixing_matrix("ring", 8), "dmsgd", 0.05, [0.5])
    assert error.isnan().all()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("bias") / "table.csv"
    spec = {"seed": 0, "problems": 2, "workers": 8, "topologies": ["ring", "full"]}
    decentralized_bias.run(spec | {"gammas": [1e-3], "betas": [0.5, 0.8]}, {}, {"table": path})
    return pd.read_csv(path)


def test_the_table_has_a_row_an_observation(table):
    assert list(table.columns) == [
        *("problem", "topology", "algorithm", "beta", "gamma"),
        *("squared_error", "closed_form", "ratio", "theory"),
    ]
    assert len(table) == 2 * 2 * (1 + 2 + 2)
    ring, full = (table[table["topology"] == name] for name in ("ring", "full"))
    assert ring["squared_error"].to_numpy() == pytest.approx(ring["closed_form"].to_numpy(), 1e-7)
    assert full["squared_error"].max() < 1e-15
    assert full["ratio"].isna().all()
    means = ring.groupby(["algorithm", "beta"])["ratio"].mean()
    assert means["dsgd", 0.0] == 1
    assert means["decentlam"].to_numpy() == pytest.approx([1, 1], rel=1e-7)
    assert 2 < means["dmsgd", 0.5] < 4
    assert 4 < means["dmsgd", 0.8] < 25
    assert ring[ring["algorithm"] == "dmsgd"]["theory"].to_numpy() == pytest.approx([4, 25] * 2)


def test_rows_depend_on_their_seed():
    first, again, other = (
        next(iter(bias_rows([seed], 4, ["ring"], [1e-3], [0.5])))["closed_form"]
        for seed in (1, 1, 2)
    )
    assert first == again != other


def draw(frame):
    return figure_bias.draw({"decentralized_bias": frame}, {})


def test_the_figure_shows_the_mean_ratios(table, tmp_path):
    (axis,) = draw(table).axes
    curves = {line.get_color(): line.get_ydata().tolist() for line in axis.lines}
    means = table.dropna(subset="ratio").groupby(["algorithm", "beta"])["ratio"].mean()
    assert curves[figure_bias.COLOURS["dmsgd"]] == pytest.approx([1, *means["dmsgd"]])
    assert curves[figure_bias.COLOURS["decentlam"]] == pytest.approx([1, 1, 1], rel=1e-6)
    assert curves[figure_bias.LIMIT] == pytest.approx([1, 4, 25])
    for name in "ab":
        style.save(draw(table), svg=tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_the_figure_says_what_diverged_and_what_has_no_bias(table):
    lost = (table["algorithm"] == "dmsgd") & (table["beta"] == 0.8) & (table["topology"] == "ring")
    missing = {column: table[column].mask(lost) for column in ("ratio", "squared_error")}
    note = " ".join(draw(table.assign(**missing)).get_supxlabel().split())
    assert note == "Left out, for it reached no fixed point: DmSGD at β = 0.8, γ = 0.001."
    assert draw(table).get_supxlabel() == ""
    (axis,) = draw(table[table["topology"] == "full"]).axes
    assert axis.texts[0].get_text() == "no topology has a bias"
