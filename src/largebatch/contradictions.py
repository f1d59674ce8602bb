"""What no schema can say of a study: keys that must agree with each other."""

import difflib
import json
from collections.abc import Iterator

from largebatch import plan
from largebatch.architectures import BATCHNORM, DEFAULT_DEPTH, PAPER_NETWORKS, options_of
from largebatch.remedies import conflicts, remedies_of
from largebatch.usercode import is_user

SECTIONS = ("batch_sweep", "warm_start", "trajectory")


def contradictions(config: dict) -> Iterator[str]:
    """Yield one line for each problem.

    Args:
        config: with its defaults; networks whose family or dataset is not right may lack it.
    """
    yield from _networks(config)
    yield from _batch_sizes(config)
    for section in SECTIONS:
        yield from _section(config, section)
    training = config["training"]
    if training["momentum"] and training["optimizer"] != "sgd":
        momentum = training["momentum"]
        yield f"training.momentum: {momentum}; only sgd has it; leave it out or set optimizer: sgd"
    if training["precision"] == "tf32" and config["device"] in ("cpu", "mps"):
        device = config["device"]
        yield f"training.precision: tf32; device: {device} has none; float32 or bfloat16"
    yield from _schedule(training)
    yield from _remedies(config)
    yield from _reproduce(config)


def show(value) -> str:
    """Return a value as a study file has it, cut to 60 characters."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _batch_sizes(config: dict) -> Iterator[str]:
    sizes = {method: config["methods"][method]["batch_size"] for method in ("sb", "lb")}
    for method, size in sizes.items():
        if isinstance(size, float) and size > 1:
            yield (
                f"methods.{method}.batch_size: {size}; a fraction lies in (0, 1], a count is whole"
            )
        elif size == 1 and isinstance(size, int):
            yield f"methods.{method}.batch_size: 1; batch normalization needs at least 2 samples"
    if type(sizes["sb"]) is type(sizes["lb"]) and sizes["sb"] >= sizes["lb"]:
        yield f"methods.sb.batch_size: {sizes['sb']}; it must be below lb's, {sizes['lb']}"
    swept = config["batch_sweep"]["batch_sizes"]
    if isinstance(swept, dict):
        for network in swept:
            if network not in config["networks"]:
                yield _unknown_name("batch_sweep.batch_sizes", network, config["networks"])
        swept = dict.fromkeys(size for inner in swept.values() for size in inner)
    for size in swept:
        if size == 1:
            yield "batch_sweep.batch_sizes: 1; batch normalization needs at least 2 samples"
        if size in sizes.values():
            yield f"batch_sweep.batch_sizes: {size}; it is there already, as sb or lb: leave it out"


def _section(config: dict, section: str) -> Iterator[str]:
    part = config[section]
    for network in plan.chosen(config, section):
        if network not in config["networks"]:
            yield _unknown_name(f"{section}.networks", network, config["networks"])
    if part["trials"] > config["trials"]:
        yield f"{section}.trials: {part['trials']}; the study has only {config['trials']} trials"
    if section != "batch_sweep":
        last = config["training"]["epochs"]
        for epoch in part["epochs"]:
            if epoch > last:
                yield f"{section}.epochs: {epoch}; the runs have only {last} epochs"
        if part["every"] is not None and part["every"] > last:
            yield f"{section}.every: {part['every']}; the runs have only {last} epochs"


def _schedule(training: dict) -> Iterator[str]:
    schedule, epochs = training["schedule"], training["epochs"]
    if schedule["warmup_epochs"] > epochs:
        warmup = schedule["warmup_epochs"]
        yield f"training.schedule.warmup_epochs: {warmup}; the runs have only {epochs} epochs"
    if schedule["factor"] != 0.1 and schedule["kind"] != "step":  # the schema's default
        yield (
            f"training.schedule.factor: {schedule['factor']}; only kind: step has a factor, "
            f"here it is {schedule['kind']}"
        )
    steps = schedule["milestones"]
    if bool(steps) != (schedule["kind"] == "step"):
        yield (
            f"training.schedule.milestones: {show(steps)}; kind: step needs some, "
            "the other kinds have none"
        )
    for epoch in steps:
        if epoch > epochs:
            yield f"training.schedule.milestones: {epoch}; the runs have only {epochs} epochs"


def _networks(config: dict) -> Iterator[str]:
    for name, network in config["networks"].items():
        dataset, family = network.get("dataset"), network.get("family")
        if dataset is not None and dataset not in config["datasets"]:
            yield _unknown_name(f"networks.{name}.dataset", dataset, config["datasets"])
        if family is not None:
            yield from _options(name, network, family)
        if network["same_data_as_paper"] and family and dataset in config["datasets"]:
            yield from _same_data(name, network, config["datasets"][dataset])


def _options(name: str, network: dict, family: str) -> Iterator[str]:
    allowed = options_of(family)
    others = {"family", "dataset", "paper_network", "same_data_as_paper"}
    for key in sorted(set(network) - others - set(allowed)):
        yield (
            f"networks.{name}.{key}: {show(network[key])}; family {family} has no "
            f"such option, only {', '.join(allowed)}"
        )
    kinds = BATCHNORM["user" if is_user(family) else "built-in"]
    if network.get("batchnorm", kinds[0]) not in kinds:
        right = " or ".join(kinds)
        yield f"networks.{name}.batchnorm: {show(network['batchnorm'])}; it must be {right}"
    rates = network.get("dropout")
    if family == "vgg" and rates is not None and (not isinstance(rates, list) or len(rates) != 3):
        yield f"networks.{name}.dropout: {show(rates)}; vgg takes a list of three rates"
    if family == "shallow_convolutional" and isinstance(rates, list):
        yield f"networks.{name}.dropout: {show(rates)}; it must be one rate in [0, 1)"


def _remedies(config: dict) -> Iterator[str]:
    section, tuning = config["remedies"], config["tuning"]
    for network in plan.chosen(config, "remedies"):
        if network not in config["networks"]:
            yield _unknown_name("remedies.networks", network, config["networks"])
    if (section["trials"] or 0) > config["trials"]:
        yield f"remedies.trials: {section['trials']}; the study has only {config['trials']} trials"
    for name, arm in section["arms"].items():
        yield from _arm(f"remedies.arms.{name}", arm, config["training"])
    for other in ("batch_sweep", "warm_start"):
        key = "batch_sizes" if other == "batch_sweep" else "epochs"
        if tuning["factors"] and (config[other][key] or config[other].get("every")):
            yield (
                f"tuning.factors: {show(tuning['factors'])}; the runs of {other} have no learning "
                "rate of their own to be tuned; leave one of the two out"
            )


def _arm(place: str, arm: dict, training: dict) -> Iterator[str]:
    for reason in conflicts(remedies_of(arm)):
        yield f"{place}: {reason}"
    own = arm.get("training", {})
    merged = training | own
    if own.get("momentum") and merged["optimizer"] != "sgd":
        yield f"{place}.training.momentum: {own['momentum']}; only sgd has it"
    elif "optimizer" in own and merged["momentum"] and merged["optimizer"] != "sgd":
        yield (
            f"{place}.training.optimizer: {own['optimizer']}; the study's training.momentum: "
            f"{merged['momentum']} is sgd's alone; give this arm momentum: 0"
        )
    if "autowu" in arm and "learning_rate" in own:
        yield (
            f"{place}.training.learning_rate: {own['learning_rate']}; autowu does not use it: its "
            "rates are autowu.minimum and autowu.maximum"
        )
    replaced = [name for name in ("lars", "lamb") if name in arm]
    if replaced and own.get("momentum") and merged["optimizer"] == "sgd":
        right = "lars.momentum" if replaced == ["lars"] else "lamb.beta1"
        yield (
            f"{place}.training.momentum: {own['momentum']}; {replaced[0]} does not use it: it has "
            f"{right}"
        )
    if replaced and "optimizer" in own:
        yield f"{place}.training.optimizer: {own['optimizer']}; {replaced[0]} takes its place"
    for name in ("decentralized", "conservative"):
        wanted = "sgd" if name == "decentralized" else "adam"
        if name in arm and merged["optimizer"] != wanted:
            yield (
                f"{place}.training.optimizer: {merged['optimizer']}; {name} is defined for {wanted}"
            )
    size = arm.get("batch_size")
    if isinstance(size, float) and size > 1:
        yield f"{place}.batch_size: {size}; a fraction lies in (0, 1], a count is whole"


def _reproduce(config: dict) -> Iterator[str]:
    part = config["reproduce"]
    for network in part["networks"] or ():
        if network not in config["networks"]:
            yield _unknown_name("reproduce.networks", network, config["networks"])
    known = dict.fromkeys(r.method for r in plan.runs(config) if r.role != "warm")
    for method in part["methods"]:
        if method not in known:
            yield _unknown_name("reproduce.methods", method, known)
    for trial in part["trials"]:
        if trial >= config["trials"]:
            last = config["trials"] - 1
            yield f"reproduce.trials: {trial}; the study's last trial is {last}, its first 0"


def _same_data(name: str, network: dict, dataset: dict) -> Iterator[str]:
    """Yield why a network cannot be called the paper's network on the paper's data."""
    place = f"networks.{name}.same_data_as_paper: true"
    reference = network["paper_network"]
    if reference is None:
        yield f"{place}; paper_network must say which of the paper's networks it is"
        return
    source, family, options = PAPER_NETWORKS[reference]
    if dataset.get("source") != source:
        found = dataset.get("source")
        yield f"{place}; its source is {found}, the paper's {reference} has {source}"
    for part in ("train_samples", "test_samples"):
        if dataset.get(part) is not None:
            yield f"{place}; datasets.{network['dataset']}.{part} takes a part of the data only"
    given = {"depth": DEFAULT_DEPTH.get(network["family"]), **network}
    wrong = [k for k, v in options.items() if given.get(k) is not None and given[k] != v]
    if network["family"] != family or wrong:
        wanted = ", ".join(f"{key}: {show(value)}" for key, value in options.items())
        yield f"{place}; the paper's {reference} is {family} with {wanted}"


def _unknown_name(place: str, value: str, known) -> str:
    near = difflib.get_close_matches(value, known, 1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    return f"{place}: {show(value)}; there is no such entry; {hint}"
