"""Synthetic tidy tables of a study of remedies, made from those of `frames`."""

import math

import numpy as np
import pandas as pd
from frames import LB_BATCH_SIZE, PROFILES, make_frames, make_settings

# arm: remedies with options, share of the accuracy gap closed, share of log sharpness closed, rate
ARMS = {
    "augmentation": ({"augmentation": {"shift": 0.2, "noise": 0.05}}, 0.55, 0.15, "constant"),
    "conservative": ({"conservative": {"weight": 0.001, "iterations": 3}}, 0.1, 0.05, "constant"),
    "adversarial": ({"adversarial": {"epsilon": 0.1}}, 0.3, 0.2, "constant"),
    "stability": ({"stability": {"noise": 0.1, "weight": 0.01}}, 0.15, 0.1, "constant"),
    "linear_scaling": ({"scaling": {"rule": "linear", "warmup_epochs": 5}}, 0.6, 0.5, "warmup"),
    "sqrt_scaling": ({"scaling": {"rule": "sqrt", "warmup_epochs": 5}}, 0.5, 0.45, "warmup"),
    "legw": ({"legw": {"warmup_epochs": 0.2}}, 0.52, 0.44, "warmup"),
    "autowu": ({"autowu": {"share": 0.5}}, 0.7, 0.6, "autowu"),
    "ghost": ({"ghost_batchnorm": {"size": 32}}, 0.35, 0.3, "constant"),
    "lars": ({"lars": {"trust": 0.001}}, 0.25, 0.2, "warmup"),
    "lamb": ({"lamb": {}}, 0.2, 0.1, "warmup"),
    "sam": ({"sam": {"rho": 0.05, "adaptive": False}}, 0.62, 0.95, "constant"),
    "averaging": ({"averaging": {"start": 0.75}}, 0.2, 0.7, "constant"),
    "conadv": ({"conadv": {"epsilon": 0.1, "staleness": 1}}, 0.33, 0.2, "constant"),
    "growth": ({"growth": {"epochs": [10, 20]}}, 0.75, 0.5, "growth"),
    "augmented_legw_lamb": (
        {"augmentation": {"shift": 0.2}, "legw": {"warmup_epochs": 0.2}, "lamb": {}},
        0.9,
        0.55,
        "warmup",
    ),
}
EPOCHS = 30


def remedy_settings(networks=("F1", "C1"), arms=tuple(ARMS)) -> dict:
    """Return the settings that belong to `remedy_frames`."""
    remedies = {
        "arms": {name: ARMS[name][0] for name in arms},
        "training": {},
        "budget": "epochs",
        "keskar": ["augmentation", "conservative", "adversarial", "stability"],
    }
    return make_settings(networks, remedies=remedies)


def remedy_frames(
    networks=("F1", "C1"), arms=tuple(ARMS), trials=5, seed=1, draws=2, diverged=(), spread=1.0
) -> dict[str, pd.DataFrame]:
    """Return the tidy tables of an invented study in which each arm closes the shares of `ARMS`.

    Args:
        networks: F1 and C1.
        arms: keys of ARMS.
        trials: of SB, LB and every arm.
        seed: of all noise.
        draws: random subspaces a run.
        diverged: arms' runs that failed, as `(network, method, trial)`.
        spread: factor of the noise between runs; 0 for none.
    """
    frames = make_frames(networks, trials, EPOCHS, draws=draws, sweep=(), warm=(), seed=seed)
    frames["runs"]["gradients"] = 4000.0 * frames["runs"]["epochs"]
    frames["runs"]["tuned_rate_factor"] = 1.0
    frames["history"]["learning_rate"] = 0.001 * (frames["history"]["epoch"] > 0)
    sizes = frames["runs"].groupby("method")["batch_size"].first()
    frames["history"]["batch_size"] = frames["history"]["method"].map(sizes)
    rng = np.random.default_rng(seed)
    rows = {name: [] for name in ("runs", "history", "sharpness", "remedy_paths", "tuning")}
    for network in networks:
        for name in arms:
            for trial in range(trials):
                failed = (network, name, trial) in diverged
                _arm(rows, frames, rng, (network, name, trial), failed, spread)
            rows["tuning"] += _tuning(network, name)
    for name, new in rows.items():
        parts = [frames[name]] if name in frames else []
        frames[name] = pd.concat([*parts, pd.DataFrame(new)], ignore_index=True)
    frames["provenance"] = pd.DataFrame(_jobs(frames["runs"]))
    return frames


def _arm(rows, frames, rng, key, failed, spread) -> None:
    network, name, trial = key
    share, log_share, kind = ARMS[name][1:]
    sb, lb, flat, sharp = PROFILES[network][4:8]
    accuracy = lb + share * (sb - lb) + spread * rng.normal(0, 0.03 * (sb - lb) + 0.1)
    phi = sharp * (flat / sharp) ** log_share * math.exp(spread * rng.normal(0, 0.15))
    head = {"network": network, "method": name, "trial": trial}
    epochs = 7 if failed else EPOCHS
    run = head | {
        "role": "remedy",
        "batch_size": LB_BATCH_SIZE,
        "status": "diverged" if failed else "completed",
        "stop_reason": "diverged" if failed else "epochs",
        "message": "training loss is NaN at epoch 8" if failed else "",
        "epochs": epochs,
        "steps": 10 * epochs,
        "train_accuracy": math.nan if failed else 99.0,
        "test_accuracy": math.nan if failed else accuracy,
        "gradients": 4000.0 * epochs * (2 if name in ("sam", "conadv", "adversarial") else 1),
        "tuned_rate_factor": 2.0 if name in ("sam", "lamb") else 1.0,
    }
    rows["runs"].append(run)
    for epoch in range(epochs + 1):
        last = {"train_loss": 2.3 / (1 + epoch), "train_accuracy": 99.0}
        last |= {"test_loss": 1.0, "test_accuracy": accuracy}
        rate, size = _rate(kind, epoch, trial)
        rows["history"].append(
            head | {"epoch": epoch} | last | {"learning_rate": rate, "batch_size": size}
        )
    if failed:
        return
    measured = frames["sharpness"]
    like = measured[(measured["network"] == network) & (measured["method"] == "lb")]
    like = like[(like["trial"] == trial) & like["epoch"].isna()]
    for row in like.to_dict("records"):
        factor = {"full": 1.0, "subspace": 0.1}[row["space"]]
        factor *= 1.0 if row["epsilon"] == 0.001 else 0.25
        rows["sharpness"].append(row | head | {"sharpness": phi * factor})
    if trial == 0:
        rows["remedy_paths"] += _path(head, sb, accuracy, phi)


def _rate(kind, epoch, trial) -> tuple[float, int]:
    if epoch == 0:
        return 0.0, LB_BATCH_SIZE
    if kind == "warmup":
        return 0.005 * min(1.0, epoch / 5), LB_BATCH_SIZE
    if kind == "autowu":
        turn = 10 + trial
        top = 1e-5 * 10 ** (5 * min(epoch, turn) / 15)
        return top * (1 if epoch <= turn else 0.1 * (1.03 - (epoch - turn) / 20)), LB_BATCH_SIZE
    size = LB_BATCH_SIZE if kind != "growth" else 32 if epoch <= 10 else 128 if epoch <= 20 else 400
    return 0.001, size


def _path(head, sb_accuracy, accuracy, phi) -> list[dict]:
    rows = []
    for alpha in np.linspace(-1, 2, 25):
        left, right = 2 * alpha**2, 0.2 * phi * (alpha - 1) ** 2
        rise = left * right / (left + right)
        tested = sb_accuracy + (accuracy - sb_accuracy) * min(1.0, max(0.0, alpha))
        rows.append(
            head
            | {
                "alpha": alpha,
                "train_loss": 0.001 + rise,
                "train_accuracy": 10 + 89.9 * math.exp(-rise),
                "test_loss": 0.8 + rise,
                "test_accuracy": 10 + (tested - 10) * math.exp(-rise),
            }
        )
    return rows


def _tuning(network, name) -> list[dict]:
    """Return a grid of three factors, of which the largest diverges in one of two trials."""
    if name == "autowu":  # it finds its own rate
        return []
    best = 2.0 if name in ("sam", "lamb") else 1.0
    return [
        {
            "network": network,
            "method": name,
            "factor": factor,
            "trial": trial,
            "train_accuracy": 99.0,
            "validation_accuracy": 60.0 - 2 * abs(math.log2(factor / best)) + trial,
            "validation_loss": 1.0,
            "status": "diverged" if factor == 4 and trial == 1 else "completed",
            "chosen": factor == best,
        }
        for factor in (1.0, 2.0, 4.0)
        for trial in range(2)
    ]


def _jobs(runs: pd.DataFrame) -> list[dict]:
    jobs = [
        {
            "job": f"mnist1d/runs/{run.network}/{run.method}/trial{run.trial}",
            "stage": "train",
            "wall_seconds": 10.0 + run.trial + (5 if run.method == "sam" else 0),
        }
        for run in runs.itertuples()
    ]
    other = {"job": "mnist1d/sharpness/F1/sam/trial0", "stage": "sharpness", "wall_seconds": 99.0}
    return [*jobs, other]
