"""Spoken digits: tones whose parts are known, paths counted by hand, the real set where it is."""

import io
import itertools
import os
import wave
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from largebatch.data import alignment, check_options, prepare, spoken_digits
from largebatch.data.archive import content_digest
from largebatch.errors import InputError

OPTIONS = {"states": 3, "passes": 5}
TONES = (400, 1100, 2600)  # Hz, the three parts of every toy word, times 1 + digit / 50


def wav(samples, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(np.asarray(samples, "<i2").tobytes())
    return stream.getvalue()


def edges_of(speaker: str, take: int) -> list[int]:
    """Where the parts of a toy word begin and end, in samples; far from equal parts."""
    lengths = [400 + 160 * (take % 5), 1600 - 240 * (take % 3), 480 + 80 * len(speaker)]
    return [0, *itertools.accumulate(lengths)]


def word(digit: int, speaker: str, take: int) -> bytes:
    edges = edges_of(speaker, take)
    tones = [
        np.full(stop - start, tone)
        for (start, stop), tone in zip(itertools.pairwise(edges), TONES, strict=True)
    ]
    pitch = np.concatenate(tones) * (1 + digit / 50)
    noise = np.random.default_rng([digit, len(speaker), take]).normal(0, 20, len(pitch))
    return wav(8000 * np.sin(2 * np.pi * np.cumsum(pitch) / 8000) + noise)


TOY = {
    f"recordings/{digit}_{speaker}_{take}.wav": word(digit, speaker, take)
    for digit in range(10)
    for speaker in ("theo", "jackson")
    for take in (0, 5, 6, 7)
}


def packed(files: dict[str, bytes], top: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return stream.getvalue()


@pytest.fixture
def put_mirror(monkeypatch, tmp_path):
    """Write a zip into a mirror and make its contents the expected ones."""

    def put(files: dict[str, bytes], top: str = ""):
        file = replace(spoken_digits.FILE, sha256=content_digest(files))
        monkeypatch.setattr(spoken_digits, "FILE", file)
        (tmp_path / "fsdd").mkdir(exist_ok=True)
        (tmp_path / file.path).write_bytes(packed(files, top))
        return tmp_path

    return put


def test_the_toy_words_become_arrays_the_same_each_time(put_mirror):
    arrays = prepare("spoken-digits", OPTIONS, mirror=put_mirror(TOY))
    backwards = dict(reversed(TOY.items()))
    again = prepare("spoken-digits", OPTIONS, mirror=put_mirror(backwards, "upstream-1.0.10/"))
    for part, takes in (("train", (5, 6, 7)), ("test", (0,))):
        lengths = [edges_of(s, take)[-1] for s in ("theo", "jackson") for take in takes]
        count = 10 * sum(1 + (length - 200) // 80 for length in lengths)
        inputs, targets = getattr(arrays, f"{part}_inputs"), getattr(arrays, f"{part}_targets")
        assert inputs.shape == (count, 360)
        assert targets.unique().tolist() == list(range(30))
        assert targets.diff().abs().max() > 1  # shuffled
        assert inputs.numpy().tobytes() == getattr(again, f"{part}_inputs").numpy().tobytes()
        assert targets.equal(getattr(again, f"{part}_targets"))
    assert arrays.classes == 30
    # Normalized, and the middle of the nine frames is the frame itself: each once.
    own = arrays.train_inputs[:, 160:200]
    assert own.mean().item() == pytest.approx(0, abs=1e-5)
    assert own.var().item() == pytest.approx(1, abs=1e-3)
    other = prepare("spoken-digits", {**OPTIONS, "seed": 1}, mirror=put_mirror(TOY))
    assert not other.train_targets.equal(arrays.train_targets)
    assert other.train_targets.bincount().equal(arrays.train_targets.bincount())


def test_each_frame_gets_the_part_it_was_made_from():
    parts = spoken_digits.split(
        spoken_digits.read_recordings(TOY), check_options("spoken-digits", OPTIONS)
    )
    frames = {part: spoken_digits._features(parts[part], 3) for part in parts}
    targets = spoken_digits._align(parts, frames, 3, 5)
    compared = 0
    for part, items in parts.items():
        for item, path in zip(items, targets[part], strict=True):
            edges = edges_of(item.speaker, item.take)
            starts = 80 * np.arange(len(path))
            first = np.searchsorted(edges, starts, side="right") - 1
            last = np.searchsorted(edges, starts + 199, side="right") - 1
            inside = first == last  # the 25 ms of the frame hear one tone only
            assert (path[inside] == 3 * item.digit + first[inside]).all()
            assert set(np.diff(path)) <= {0, 1}
            compared += inside.sum()
    assert compared > 1000


def test_testing_recordings_do_not_touch_the_alignment_of_training():
    others = {name: TOY[name.replace("_0.wav", "_5.wav")] for name in TOY if "_0.wav" in name}
    options = check_options("spoken-digits", OPTIONS)
    found = []
    for files in (TOY, TOY | others):
        parts = spoken_digits.split(spoken_digits.read_recordings(files), options)
        frames = {part: spoken_digits._features(parts[part], 3) for part in parts}
        found.append(spoken_digits._align(parts, frames, 3, 2))
    for before, after in zip(found[0]["train"], found[1]["train"], strict=True):
        assert (before == after).all()
    # A testing recording that equals a training one is aligned as that one is.
    place = {item.name: number for number, item in enumerate(parts["train"])}
    for item, path in zip(parts["test"], found[1]["test"], strict=True):
        twin = place[item.name.replace("_0.wav", "_5.wav")]
        assert (path == found[1]["train"][twin]).all()


def log_score(model, utterance, path) -> float:
    """The log probability of a path and its frames, written out, without the marker."""
    means, variances = model.means_[:, :-1], np.array([np.diag(c)[:-1] for c in model.covars_])
    score = 0.0
    for frame, state in zip(utterance, path, strict=True):
        square = (frame - means[state]) ** 2 / variances[state]
        score -= 0.5 * (square + np.log(2 * np.pi * variances[state])).sum()
    score += sum(np.log(model.transmat_[pair]) for pair in itertools.pairwise(path))
    return score + np.log(model.transmat_[path[-1], path[-1] + 1])


@pytest.mark.parametrize("seed", range(5))
def test_the_path_is_the_best_of_all_that_end_in_the_last_state(seed):
    generator = np.random.default_rng(seed)
    utterances = [generator.normal(size=(length, 2)) for length in (3, 6, 9)]
    model = alignment.train(utterances, 3, 1)
    # Frames like the first state to the end: a path that may end anywhere would stay there.
    stuck = np.tile(model.means_[0, :2], (8, 1)) + generator.normal(0, 0.1, (8, 2))
    for utterance in [*utterances, stuck]:
        path = alignment.align(model, [utterance])[0]
        count = len(utterance)
        cuts = itertools.combinations(range(1, count), 2)
        paths = [(0,) * a + (1,) * (b - a) + (2,) * (count - b) for a, b in cuts]
        best = max(paths, key=lambda path: log_score(model, utterance, path))
        assert tuple(path) == best


def test_training_starts_from_equal_parts_and_estimates_by_hand():
    utterances = [np.array([[0.0], [2.0], [10.0], [14.0]]), np.array([[1.0], [12.0]])]
    model = alignment.train(utterances, 2, 1)
    assert model.means_[:2, 0].tolist() == [1, 12]
    assert model.covars_[0][0, 0] == pytest.approx(2 / 3)
    assert model.covars_[1][0, 0] == pytest.approx(8 / 3)
    assert model.transmat_[0, :2] == pytest.approx([1 / 3, 2 / 3])  # 2 of 3 frames go on
    flat = alignment.train([np.ones((2, 1))], 2, 3)
    assert flat.covars_[0][0, 0] == pytest.approx(0.01)
    assert flat.transmat_[0, :2] == pytest.approx([0.01, 0.99])


def test_each_further_pass_aligns_and_estimates_again():
    utterances = [np.array([[0.0]] * 5 + [[9.0]])] * 2
    assert alignment.train(utterances, 2, 1).means_[:2, 0].tolist() == [0, 3]
    assert alignment.train(utterances, 2, 2).means_[:2, 0].tolist() == [0, 9]


def test_log_mel_frames_of_a_tone():
    sound = 8000 * np.sin(2 * np.pi * 1000 * np.arange(1000) / 8000)
    frames = spoken_digits.log_mel(sound.astype(np.float32))
    assert frames.shape == (1 + (1000 - 200) // 80, 40)
    assert frames.dtype == np.float32
    # The centres of the 40 filters are equally far apart on the mel scale from 20 to 4000 Hz.
    mel = 1127 * np.log(1 + np.array([20, 1000, 4000]) / 700)
    nearest = round(41 * (mel[1] - mel[0]) / (mel[2] - mel[0])) - 1
    assert (frames.argmax(axis=1) == nearest).all()
    assert (frames == spoken_digits.log_mel(sound.astype(np.float32))).all()  # no dither
    louder = spoken_digits.log_mel((2 * sound).astype(np.float32))
    assert (louder - frames)[:, nearest] == pytest.approx(2 * np.log(2), abs=1e-4)
    assert spoken_digits.log_mel(np.zeros(199, np.float32)).shape == (0, 40)


EVERY = [
    spoken_digits.Recording(f"recordings/{digit}_{speaker}_{take}.wav", digit, speaker, take, None)
    for digit in range(10)
    for speaker in spoken_digits.SPEAKERS
    for take in range(50)
]


@pytest.mark.parametrize(
    ("options", "train", "test"),
    [
        ({}, 2700, 300),
        ({"train_takes": 2, "test_takes": 1}, 120, 60),
        ({"split": "speakers"}, 2000, 1000),
        ({"split": "speakers", "test_speakers": ["lucas"], "train_takes": 3}, 150, 500),
    ],
)
def test_no_recording_is_in_both_parts(options, train, test):
    parts = spoken_digits.split(EVERY, check_options("spoken-digits", options))
    names = {part: {item.name for item in items} for part, items in parts.items()}
    assert (len(names["train"]), len(names["test"])) == (train, test)
    assert not names["train"] & names["test"]
    if options.get("split") == "speakers":
        held = set(options.get("test_speakers", ["theo", "yweweler"]))
        assert {item.speaker for item in parts["test"]} == held
        assert not {item.speaker for item in parts["train"]} & held
    else:
        assert {item.take for item in parts["test"]} <= set(range(5))
        assert {item.take for item in parts["train"]} <= set(range(5, 50))
    for items in parts.values():  # thinned evenly
        counts = {(item.digit, item.speaker): 0 for item in items}
        for item in items:
            counts[item.digit, item.speaker] += 1
        assert len(set(counts.values())) == 1


def test_all_wrong_files_are_named_in_one_error(put_mirror):
    tone = [0, 1000] * 400
    wrong = {
        "recordings/1_theo_x.wav": (wav(tone), "name is not"),
        "recordings/1_theo_1.mp3": (wav(tone), "name is not"),
        "recordings/2_theo_1.wav": (b"RIFF", "not a wav file: it ends early"),
        "recordings/2_theo_2.wav": (b"<html>sign in to download</html>", "not a wav file: "),
        "recordings/3_theo_1.wav": (wav(tone, rate=16000), "16000 Hz, 1 channels, 16 bits; not"),
        "recordings/3_theo_2.wav": (wav(tone, channels=2), "8000 Hz, 2 channels, 16 bits; not"),
        "recordings/3_theo_3.wav": (wav(tone, width=1), "8000 Hz, 1 channels, 8 bits; not"),
        "recordings/3_theo_4.wav": (
            wav(tone).replace(b"fmt \x10", b"fmt \xff"),
            "not a wav file: ",
        ),
        "recordings/4_theo_1.wav": (wav(tone)[:-100], "truncated, 1500 of 1600 bytes"),
    }
    files = TOY | {name: content for name, (content, _) in wrong.items()}
    with pytest.raises(InputError, match=r"digit-dataset\.zip: 9 files cannot be used") as error:
        prepare("spoken-digits", OPTIONS, mirror=put_mirror(files))
    for name, (_, reason) in wrong.items():
        assert f"{name} ({reason}" in str(error.value)


def test_recordings_that_are_too_short_are_named(put_mirror):
    short = {"recordings/7_theo_6.wav": wav([0, 1000] * 179)}  # 358 samples: 2 frames
    with pytest.raises(InputError, match=r"states: 3; 1 recordings .*: .*7_theo_6\.wav \(2\)"):
        prepare("spoken-digits", OPTIONS, mirror=put_mirror(TOY | short))


def test_a_digit_without_recordings_is_named(put_mirror):
    files = {name: content for name, content in TOY.items() if not name.endswith("4_theo_0.wav")}
    del files["recordings/4_jackson_0.wav"]
    with pytest.raises(InputError, match="no recording of digit 4 for testing"):
        prepare("spoken-digits", OPTIONS, mirror=put_mirror(files))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "random"}, "split: 'random' .* takes or speakers"),
        ({"test_speakers": "theo"}, "test_speakers: 'theo' .* a list of one to five of george"),
        ({"test_speakers": []}, r"test_speakers: \[\]"),
        ({"test_speakers": ["tho"]}, "test_speakers: "),
        ({"test_speakers": ["theo", "theo"]}, "test_speakers: "),
        ({"test_speakers": list(spoken_digits.SPEAKERS)}, "test_speakers: "),
        ({"states": 13}, "states: 13 .* in 1..12"),
        ({"passes": 0}, "passes: 0 "),
        ({"train_takes": 46}, "train_takes: 46 .* in 1..45"),
        ({"test_takes": 6}, "test_takes: 6 .* in 1..5"),
        ({"split": "speakers", "test_takes": 51}, "test_takes: 51 .* in 1..50"),
        ({"seed": 0.5}, "seed: 0.5"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=f"spoken-digits.{message}"):
        check_options("spoken-digits", options)


MIRROR = os.environ.get("LARGEBATCH_MIRROR")


@pytest.mark.skipif(
    not MIRROR or not (Path(MIRROR) / spoken_digits.FILE.path).exists(),
    reason="needs the real recordings: set LARGEBATCH_MIRROR",
)
def test_the_real_recordings_from_the_mirror(tmp_path):
    options = {"train_takes": 3, "test_takes": 1, "passes": 3}
    arrays = prepare("spoken-digits", options, mirror=MIRROR, downloads=tmp_path)
    assert arrays.classes == 120
    assert arrays.train_inputs.shape[1:] == (360,)
    assert arrays.train_targets.bincount().min() >= 18  # each recording visits each state
    assert arrays.test_targets.bincount().min() >= 6
    # From the lengths of the wav files: 1 + (samples - 200) // 80 frames each.
    assert (len(arrays.train_inputs), len(arrays.test_inputs)) == (7509, 2513)
    assert list(tmp_path.iterdir()) == []
