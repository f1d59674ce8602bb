"""Frames of speech as inputs of a network: normalized, and each spliced with its neighbours."""

CONTEXT = 4  # frames on each side: 9 frames of 40 features are the paper's 360 inputs
_SMALLEST_DEVIATION = 1e-3  # below it a feature counts as constant: rounding is not blown up


def normalize(frames, lengths, groups=None) -> None:
    """Give every feature mean 0 and variance 1 over each group of utterances, in place.

    This is Kaldi's cepstral mean and variance normalization (`apply-cmvn --norm-vars=true`).

    Args:
        frames: float32 (N, features), the utterances one after the other; overwritten.
        lengths: frames of each utterance, every one >= 1, N in all.
        groups: int (utterances,), the group of each, from 0 on; None: each is its own.
    """
    import numpy as np

    lengths = np.asarray(lengths)
    starts = lengths.cumsum() - lengths
    groups = np.arange(len(lengths)) if groups is None else np.asarray(groups)
    counts = np.bincount(groups, weights=lengths)[:, None]

    def means(values):
        sums = np.zeros((len(counts), frames.shape[1]))
        np.add.at(sums, groups, np.add.reduceat(values, starts, axis=0, dtype=np.float64))
        return sums / counts

    def of_frames(values):
        return values.astype(np.float32)[groups].repeat(lengths, axis=0)

    frames -= of_frames(means(frames))
    frames /= of_frames(np.maximum(np.sqrt(means(frames**2)), _SMALLEST_DEVIATION))


def splice(frames, lengths, rows):
    """Return the chosen frames, each with its neighbours in time, edges repeated.

    As Kaldi's `splice-feats --left-context=4 --right-context=4` does: first the frame four before,
    last the frame four after; where the utterance has none, its first or last frame instead.

    Args:
        frames: float32 (N, features), the utterances one after the other.
        lengths: frames of each utterance, N in all.
        rows: int, which frames, in which order.

    Returns:
        float32 (len(rows), 9 * features).
    """
    import numpy as np

    lengths = np.asarray(lengths)
    ends = lengths.cumsum()
    first = (ends - lengths).repeat(lengths)[rows]
    last = (ends - 1).repeat(lengths)[rows]
    features, offsets = frames.shape[1], range(-CONTEXT, CONTEXT + 1)
    spliced = np.empty((len(rows), len(offsets), features), np.float32)
    for place, offset in enumerate(offsets):
        spliced[:, place] = frames[np.clip(rows + offset, first, last)]
    return spliced.reshape(len(rows), -1)


def shuffled(count: int, seed: int, part: int):
    """Return 0..count-1 in an order drawn from (seed, part).

    Batch statistics are those of consecutive samples at test time: without a shuffle such a batch
    would be a few utterances of one speaker.
    """
    import numpy as np

    return np.random.default_rng([seed, part]).permutation(count)
