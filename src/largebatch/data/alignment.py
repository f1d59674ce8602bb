"""Which frame belongs to which part of a word: hidden Markov models from left to right.

One model a word, one Gaussian with a diagonal covariance a state. A path starts in the first state,
stays or goes on by one with every frame, and ends in the last state. Training is by Viterbi passes
from equal parts (a "flat start"), as in Kaldi's first, monophone system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hmmlearn.hmm import GaussianHMM

_SMALLEST_VARIANCE = 0.01  # Kaldi's --min-variance; features have variance 1
_LEAST_PROBABILITY = 0.01  # of staying and of going on: no utterance becomes impossible
_MARKER_VARIANCE = 1e-12  # a path that misses the end costs 5e11: no path of real frames does


def train(utterances: list, states: int, passes: int) -> GaussianHMM:
    """Fit the model of one word.

    Args:
        utterances: float arrays (frames, features), each with at least `states` frames.
        states: at least 1.
        passes: re-estimations from the best paths, at least 1; the first is from equal parts.

    Returns:
        A model for `align`.
    """
    paths = [_equal_parts(len(utterance), states) for utterance in utterances]
    model = _estimate(utterances, paths, states)
    for _ in range(passes - 1):
        model = _estimate(utterances, align(model, utterances), states)
    return model


def align(model: GaussianHMM, utterances: list) -> list:
    """Return the most likely path of each utterance: int arrays of states 0..states-1.

    `GaussianHMM.decode` has no final probabilities, and its best path may end early. So a marker
    frame is put after each utterance, which only one more state explains, and that state is entered
    from the last one only. The result is exactly the best path that ends in the last state.
    """
    import numpy as np

    marked = np.concatenate([_with_marker(utterance) for utterance in utterances])
    lengths = [len(utterance) + 1 for utterance in utterances]
    _, path = model.decode(marked, lengths, algorithm="viterbi")
    return [part[:-1] for part in np.split(path, np.cumsum(lengths)[:-1])]


def _equal_parts(frames: int, states: int):
    """Return the path that spends the same time in every state, up to rounding."""
    import numpy as np

    return np.arange(frames) * states // frames


def _estimate(utterances: list, paths: list, states: int) -> GaussianHMM:
    """Return the model of the highest likelihood along the given paths, within the floors."""
    import numpy as np
    from hmmlearn.hmm import GaussianHMM

    frames = np.concatenate(utterances).astype(np.float64)
    path = np.concatenate(paths)
    features = frames.shape[1]
    # The last state and the last feature are those of the marker.
    means = np.zeros((states + 1, features + 1))
    variances = np.ones((states + 1, features + 1))
    transitions = np.zeros((states + 1, states + 1))
    for state in range(states):
        own = frames[path == state]
        means[state, :-1] = own.mean(axis=0)
        variances[state, :-1] = np.maximum(own.var(axis=0), _SMALLEST_VARIANCE)
        leave = np.clip(len(utterances) / len(own), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        transitions[state, state : state + 2] = 1 - leave, leave
    means[states, -1] = transitions[states, states] = 1
    variances[:, -1] = _MARKER_VARIANCE
    model = GaussianHMM(n_components=states + 1, covariance_type="diag")
    model.n_features = features + 1
    model.startprob_ = np.eye(states + 1)[0]
    model.transmat_, model.means_, model.covars_ = transitions, means, variances
    return model


def _with_marker(utterance):
    """Return an utterance with one more feature (0), and a last frame in which only it is 1."""
    import numpy as np

    marked = np.zeros((len(utterance) + 1, utterance.shape[1] + 1))
    marked[:-1, :-1] = utterance
    marked[-1, -1] = 1
    return marked
