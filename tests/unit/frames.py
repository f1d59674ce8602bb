"""Synthetic tidy tables with the columns and magnitudes of a real study, for tests and previews."""

import math

import numpy as np
import pandas as pd

# network: family, architecture, input shape, parameters, SB/LB test accuracy, SB/LB sharpness, BN
PROFILES = {
    "F1": (
        "fully_connected",
        "5 x [dense 256, BN, ReLU], dense 10",
        "40",
        278_800,
        69.5,
        59.5,
        9.5,
        85.0,
        32,
    ),
    "C1": (
        "shallow_convolutional",
        "2 x [conv 5, 64, BN, ReLU, pool], dense",
        "1x40",
        352_500,
        97.8,
        96.4,
        0.7,
        25,
        32,
    ),
}
DEFAULT_PROFILE = (
    "F1",
    "5 x [dense 512, BN, ReLU], dense 10",
    "784",
    1_462_538,
    98,
    97,
    2.0,
    90,
    32,
)
LB_BATCH_SIZE = 400
SHARPNESS_COLUMNS = [
    *("network", "method", "trial", "epoch", "space", "dimension", "draw", "epsilon", "solver"),
    *(
        "sharpness",
        "base",
        "maximum",
        "evaluations",
        "iterations",
        "at_bound",
        "stalled",
        "message",
    ),
]


def make_settings(networks=("F1", "C1"), **changes) -> dict:
    """Return the settings that belong to `make_frames(networks)`; `changes` replace entries."""
    settings = {
        "epsilons": [0.001, 0.0005],
        "figure_trial": dict.fromkeys(networks, 0),
        "trajectory_trial": 0,
        "same_data_as_paper": dict.fromkeys(networks, False),
        "paper_network": {
            network: network if network in PROFILES else None for network in networks
        },
    }
    return settings | changes


def make_frames(
    networks=("F1", "C1"),
    trials=5,
    epochs=30,
    seed=0,
    draws=3,
    sweep=(16, 64, 128, 800),
    warm=(1, 5, 15, 30),
    diverged=(),
    not_started=(),
    infinite=False,
) -> dict[str, pd.DataFrame]:
    """Return the tidy tables `networks runs history sharpness interpolation` of an invented study.

    Args:
        networks: names; F1 and C1 have magnitudes of their own, any other gets a default.
        trials: paired trials of SB, LB and of every sweep and warm-start run.
        epochs: epochs of every run.
        seed: seed of all noise; equal arguments give equal tables.
        draws: random subspaces a run.
        sweep: batch sizes of the sweep (methods `b{size}`).
        warm: SB epochs from which LB runs are warm-started (methods `warm{k}`).
        diverged: runs that failed, as `(network, method, trial)`.
        not_started: warm starts whose SB run ended before their epoch, likewise.
        infinite: whether losses far outside [0, 1] on the interpolation paths are infinite.
    """
    rng = np.random.default_rng(seed)
    rows = {"networks": [], "runs": [], "history": [], "sharpness": [], "interpolation": []}
    for network in networks:
        profile = PROFILES.get(network, DEFAULT_PROFILE)
        rows["networks"].append(_network_row(network, profile))
        plans = _plans(profile, sweep, warm)
        for trial in range(trials):
            for plan in plans:
                key = (network, plan["method"], trial)
                failed = "diverged" if key in diverged else ""
                failed = "not started" if key in not_started else failed
                _add_run(rows, rng, network, trial, plan, epochs, draws, failed)
            if not {(network, "sb", trial), (network, "lb", trial)} & set(diverged):
                rows["interpolation"] += _paths(rng, network, trial, profile, infinite)
    frames = {name: pd.DataFrame(content) for name, content in rows.items()}
    frames["sharpness"] = frames["sharpness"].reindex(columns=SHARPNESS_COLUMNS)
    return frames


def _network_row(network, profile) -> dict:
    family, architecture, shape, parameters = profile[:4]
    return {
        "network": network,
        "family": family,
        "architecture": architecture,
        "dataset": "mnist1d",
        "input_shape": shape,
        "classes": 10,
        "train_samples": 4000,
        "test_samples": 1000,
        "parameters": parameters,
        "batchnorm": "batch",
        "sb_batch_size": profile[8],
        "lb_batch_size": LB_BATCH_SIZE,
    }


def _plans(profile, sweep, warm) -> list[dict]:
    """Return what each run of one network should come out at: level 0 is SB, level 1 is LB."""
    sb_size = profile[8]
    span = math.log(LB_BATCH_SIZE / sb_size)
    plans = [
        {"method": "sb", "role": "main", "batch_size": sb_size, "level": 0.0, "k": math.nan},
        {"method": "lb", "role": "main", "batch_size": LB_BATCH_SIZE, "level": 1.0, "k": math.nan},
    ]
    for size in sweep:
        level = math.log(size / sb_size) / span
        plans.append({"method": f"b{size}", "role": "sweep", "batch_size": size, "level": level})
    for k in warm:
        level = max(0.0, 1 - k / (0.8 * max(warm)))
        plan = {"method": f"warm{k}", "role": "warm", "batch_size": LB_BATCH_SIZE, "level": level}
        plans.append(plan | {"k": float(k)})
    for plan in plans:
        plan.setdefault("k", math.nan)
        plan["profile"] = profile
    return plans


def _add_run(rows, rng, network, trial, plan, epochs, draws, failed) -> None:
    sb_test, lb_test, sb_sharp, lb_sharp = plan["profile"][4:8]
    level = plan["level"]
    test_accuracy = sb_test + level * (lb_test - sb_test) + rng.normal(0, 0.3)
    sharpness = sb_sharp * (lb_sharp / sb_sharp) ** level * math.exp(rng.normal(0, 0.15))
    key = {"network": network, "method": plan["method"], "trial": trial}
    history = _history(rng, key, epochs, level, test_accuracy, failed)
    last = history[-1]
    messages = {
        "": "",
        "diverged": f"training loss is NaN at epoch {len(history)}",
        "not started": f"not started: the SB run ended before epoch {plan['k']:g}",
    }
    run = key | {
        "role": plan["role"],
        "batch_size": plan["batch_size"],
        "status": failed or "completed",
        "stop_reason": failed or "epochs",
        "message": messages[failed],
        "epochs": len(history) - 1,
        "steps": (len(history) - 1) * math.ceil(4000 / plan["batch_size"]),
        "warm_epochs": plan["k"],
    }
    measured = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    run |= {name: math.nan if failed else last[name] for name in measured}
    run["distance"] = math.nan if failed else (20 - 14 * level) * math.exp(rng.normal(0, 0.05))
    rows["runs"].append(run)
    rows["history"] += history
    if not failed:
        rows["sharpness"] += _sharpness(rng, key, plan, sharpness, draws, history, trial)


def _history(rng, key, epochs, level, test_accuracy, failed) -> list[dict]:
    stop = {"": epochs, "diverged": max(1, epochs // 3), "not started": 0}[failed]
    rate = 12 / epochs
    rows = []
    for epoch in range(stop + 1):
        done = 1 - math.exp(-rate * epoch)
        noise = rng.normal(0, 0.1) if 0 < epoch < epochs else 0.0
        row = {
            "epoch": epoch,
            "train_loss": 2.302 * math.exp(-rate * epoch) + 0.001 * (1 + 3 * max(level, 0)),
            "train_accuracy": 10 + 89.9 * done,
            "test_loss": 2.302 - 1.6 * done + 0.3 * epoch / epochs,
            "test_accuracy": 10 + (test_accuracy - 10) * done + noise,
        }
        rows.append(key | row)
    return rows


def _sharpness(rng, key, plan, sharpness, draws, history, trial) -> list[dict]:
    full = {"space": "full", "dimension": plan["profile"][3], "draw": 0}
    base = history[-1]["train_loss"]
    if plan["role"] != "main":
        return [_measure(rng, key, full, 0.001, "best", sharpness, base)]
    rows = []
    for epsilon, factor in ((0.001, 1.0), (0.0005, 0.25)):
        places = [(full, sharpness * factor)]
        for draw in range(draws):
            space = {"space": "subspace", "dimension": 100, "draw": draw}
            places.append((space, 0.1 * sharpness * factor * math.exp(rng.normal(0, 0.05))))
        for place, value in places:
            rows.append(_measure(rng, key, place, epsilon, "best", value, base))
            stalled = plan["method"] == "lb" and place["space"] == "full"
            found = value * (0.001 if stalled else 0.95)
            rows.append(_measure(rng, key, place, epsilon, "paper", found, base, stalled))
    if trial == 0:
        for row in history[:: max(1, len(history) // 10)]:
            done = row["epoch"] / history[-1]["epoch"]
            value = sharpness * (0.2 + 0.8 * done if plan["level"] else 3 - 2 * done)
            measure = _measure(rng, key, full, 0.001, "best", value, row["train_loss"])
            rows.append(measure | {"epoch": float(row["epoch"])})
    return rows


def _measure(rng, key, place, epsilon, solver, sharpness, base, stalled=False) -> dict:
    return (
        key
        | place
        | {
            "epoch": math.nan,
            "epsilon": epsilon,
            "solver": solver,
            "sharpness": sharpness,
            "base": base,
            "maximum": base + sharpness / 100 * (1 + base),
            "evaluations": 50 if solver == "best" else 13,
            "iterations": 0 if stalled else 10,
            "at_bound": 0.0 if stalled else float(rng.uniform(0.9, 1)),
            "stalled": stalled,
            "message": "" if solver == "best" else "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT",
        }
    )


def _paths(rng, network, trial, profile, infinite) -> list[dict]:
    """Return two valleys, a wide one at alpha = 0 (SB) and a narrow one at alpha = 1 (LB)."""
    flat, steep = 2 * math.exp(rng.normal(0, 0.1)), 14 * math.exp(rng.normal(0, 0.1))
    sb_test, lb_test = profile[4:6]
    rows = []
    for path in ("linear", "curvilinear"):
        for alpha in np.linspace(-1, 2, 25).tolist():
            left, right = flat * alpha**2, steep * (alpha - 1) ** 2
            rise = left * right / (left + right)
            train_loss = 0.001 + rise
            if infinite and not -0.6 <= alpha <= 1.6:
                train_loss = math.inf
            good = math.exp(-rise)
            peak = sb_test + (lb_test - sb_test) * min(1.0, max(0.0, alpha))
            rows.append(
                {
                    "network": network,
                    "path": path,
                    "trial": trial,
                    "alpha": alpha,
                    "train_loss": train_loss,
                    "train_accuracy": 10 + 89.9 * good,
                    "test_loss": train_loss + 0.8,
                    "test_accuracy": 10 + (peak - 10) * good,
                }
            )
    return rows
