"""Spoken digits: frames of the Free Spoken Digit Dataset, classified into parts of words.

Source: Zohar Jackson and others, "Free Spoken Digit Dataset" (CC BY-SA 4.0), 3000 recordings of the
ten digits: six speakers, 50 takes each. It stands in for TIMIT (the paper's F2), which is licensed,
and is made the same way: 40 log-mel features a 10 ms frame by Kaldi's definition, normalized over
each recording; nine frames side by side; as target the state of a hidden Markov model from left to
right that the frame is aligned to (`alignment.py`), one model a digit.

The models see the training recordings only. Testing recordings are aligned with those models, given
their digit, as Kaldi's forced alignment does. Class `digit * states + state`. Frames are shuffled
within training and testing (drawn from `seed`).
"""

import io
import re
import wave
from dataclasses import dataclass
from functools import partial
from typing import Any

from largebatch.data.archive import read_zip, zip_digest
from largebatch.data.checks import check_integer, first_names
from largebatch.data.download import RemoteFile
from largebatch.errors import InputError

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
OPTIONS = {
    "split": "takes",  # takes: the official split, 0-4 for testing, 5-49 for training | speakers
    "test_speakers": ["theo", "yweweler"],  # split: speakers only: these are for testing
    "states": 12,  # a digit: 120 classes; the shortest recordings have 12 frames
    "passes": 10,  # of the alignment
    "train_takes": None,  # the first k of each speaker and digit, for thin studies; null: all
    "test_takes": None,
    "seed": 0,  # of the order of the frames
}
DIGITS, RATE, FEATURES = 10, 8000, 40
TEST_TAKES, TAKES = 5, 50
_NAME = re.compile(r"recordings/([0-9])_([a-z]+)_([0-9]+)\.wav")

FOLDER, MAX_BYTES = "recordings", 64 << 20
FILE = RemoteFile(
    "fsdd/free-spoken-digit-dataset.zip",
    # Never tried from here: there was no internet. Whatever comes is checked by its contents.
    (
        "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
        "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/heads/master.zip",
    ),
    sha256="04e1baae96c6a26e39c623f2b01d0182ddae627ba0ac02a3cdc17ba2af99fd9b",
    max_bytes=MAX_BYTES,
    digest=partial(zip_digest, folder=FOLDER, max_bytes=MAX_BYTES),
)


@dataclass(frozen=True, eq=False)
class Recording:
    """One take: its place in the data set, and its sound as float32 in -32768..32767."""

    name: str
    digit: int
    speaker: str
    take: int
    sound: Any


def check(options: dict) -> None:
    """Raise InputError for a value out of range."""
    if options["split"] not in ("takes", "speakers"):
        raise InputError(
            f"spoken-digits.split: {options['split']!r} is not allowed; must be takes or speakers"
        )
    held = options["test_speakers"]
    if (
        not isinstance(held, list)
        or not set(map(str, held)) < set(SPEAKERS)
        or not 0 < len(held) == len(set(held))
    ):
        raise InputError(
            f"spoken-digits.test_speakers: {held!r} is not allowed; it must be a list of one to "
            f"five of {', '.join(SPEAKERS)}"
        )
    if options["split"] == "takes" and held != OPTIONS["test_speakers"]:
        raise InputError(
            f"spoken-digits.test_speakers: {held!r}; only split: speakers tests on speakers, here "
            "it is takes"
        )
    check_integer("spoken-digits.states", options["states"], 1, 12)
    check_integer("spoken-digits.passes", options["passes"], 1)
    check_integer("spoken-digits.seed", options["seed"], 0)
    most = {"train": TAKES - TEST_TAKES, "test": TEST_TAKES}
    for part in most:
        if options[f"{part}_takes"] is not None:
            highest = most[part] if options["split"] == "takes" else TAKES
            check_integer(f"spoken-digits.{part}_takes", options[f"{part}_takes"], 1, highest)


def prepare(options: dict, fetch) -> dict:
    """Fetch the recordings, compute features, align, splice.

    Args:
        options: see `OPTIONS`.
        fetch: callable from a `RemoteFile` to its checked bytes, here the zip.

    Returns:
        float32 inputs (N, 360), int64 targets (N,), `classes` = 10 * `states`.

    Raises:
        InputError: the file is missing or broken, a recording is broken or has fewer frames than
            `states`, or a digit has no recording in training or testing.
    """
    import numpy as np

    from largebatch.data.frames import shuffled, splice

    recordings = read_recordings(read_zip(fetch(FILE), FOLDER, MAX_BYTES))
    parts = split(recordings, options)
    frames = {part: _features(parts[part], options["states"]) for part in parts}
    targets = _align(parts, frames, options["states"], options["passes"])
    contents: dict = {"classes": DIGITS * options["states"]}
    for number, part in enumerate(parts):
        rows = shuffled(sum(map(len, frames[part])), options["seed"], number)
        lengths = [len(utterance) for utterance in frames[part]]
        contents[f"{part}_inputs"] = splice(np.concatenate(frames[part]), lengths, rows)
        contents[f"{part}_targets"] = np.concatenate(targets[part])[rows]
    return contents


def read_recordings(files: dict[str, bytes]) -> list[Recording]:
    """Return the recordings by digit, speaker, take; all wrong files are named in one error."""
    recordings, wrong = [], []
    for name, content in files.items():
        try:
            match = _NAME.fullmatch(name)
            if match is None:
                raise InputError("name is not recordings/{digit}_{speaker}_{take}.wav")
            digit, speaker, take = int(match[1]), match[2], int(match[3])
            recordings.append(Recording(name, digit, speaker, take, _sound(content)))
        except InputError as error:
            wrong.append(f"{name} ({error})")
    if wrong:
        raise InputError(
            f"{FILE.path}: {len(wrong)} files cannot be used: {first_names(wrong, 10)}"
        )
    return sorted(recordings, key=lambda item: (item.digit, item.speaker, item.take))


def split(recordings: list[Recording], options: dict) -> dict[str, list[Recording]]:
    """Return the recordings for training and for testing; none is in both."""
    parts: dict[str, list[Recording]] = {"train": [], "test": []}
    for item in recordings:
        if options["split"] == "takes":
            testing, first = item.take < TEST_TAKES, TEST_TAKES
        else:
            testing, first = item.speaker in options["test_speakers"], 0
        part = "test" if testing else "train"
        count, start = options[f"{part}_takes"], 0 if testing else first
        if count is None or item.take < start + count:
            parts[part].append(item)
    for part, chosen in parts.items():
        absent = set(range(DIGITS)) - {item.digit for item in chosen}
        if absent:
            raise InputError(f"{FILE.path}: no recording of digit {min(absent)} for {part}ing")
    return parts


def _features(recordings: list[Recording], states: int) -> list:
    """Return normalized log-mel frames (frames, 40) of each recording."""
    import numpy as np

    from largebatch.data.frames import normalize

    utterances = [log_mel(item.sound) for item in recordings]
    pairs = zip(recordings, utterances, strict=True)
    short = [f"{item.name} ({len(frames)})" for item, frames in pairs if len(frames) < states]
    if short:
        raise InputError(
            f"spoken-digits.states: {states}; {len(short)} recordings have fewer frames than that: "
            f"{first_names(short)}"
        )
    lengths = [len(frames) for frames in utterances]
    together = np.concatenate(utterances)
    normalize(together, lengths)
    return np.split(together, np.cumsum(lengths)[:-1])


def log_mel(sound):
    """Return Kaldi's log-mel features of a sound: float32 (frames, 40), 25 ms every 10 ms.

    All settings are those of Kaldi's `compute-fbank-feats`, but for no dither (it is random).
    """
    import kaldi_native_fbank
    import numpy as np

    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = RATE
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = FEATURES
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(RATE, sound.tolist())
    computer.input_finished()
    frames = [computer.get_frame(number).copy() for number in range(computer.num_frames_ready)]
    return np.stack(frames) if frames else np.empty((0, FEATURES), np.float32)


def _align(parts: dict, frames: dict, states: int, passes: int) -> dict[str, list]:
    """Return each recording's classes: models fitted to the training part align both parts."""
    from largebatch.data.alignment import align, train

    targets = {part: [None] * len(parts[part]) for part in parts}
    for digit in range(DIGITS):
        own = {
            part: [place for place, item in enumerate(parts[part]) if item.digit == digit]
            for part in parts
        }
        model = train([frames["train"][place] for place in own["train"]], states, passes)
        for part in parts:
            paths = align(model, [frames[part][place] for place in own[part]])
            for place, path in zip(own[part], paths, strict=True):
                targets[part][place] = digit * states + path.astype("int64")
    return targets


def _sound(content: bytes):
    """Return the samples of a wav file as float32, checked to be 8 kHz, mono, 16 bits."""
    import numpy as np

    try:
        with wave.open(io.BytesIO(content)) as stream:
            found = (stream.getframerate(), stream.getnchannels(), 8 * stream.getsampwidth())
            count = stream.getnframes()
            samples = stream.readframes(count)
    except (wave.Error, EOFError, RuntimeError) as error:  # RuntimeError: a size beyond the end
        raise InputError(f"not a wav file: {str(error) or 'it ends early'}") from error
    if found != (RATE, 1, 16):
        raise InputError(f"{found[0]} Hz, {found[1]} channels, {found[2]} bits; not 8000, 1, 16")
    if len(samples) != 2 * count:
        raise InputError(f"truncated, {len(samples)} of {2 * count} bytes")
    return np.frombuffer(samples, "<i2").astype(np.float32)
