"""The registered data sets: what a person reads of each, where its files lie, and where they come from.

A set may have several sources, each a group of files in the data folder and a function that reads them. The first
source whose files are all there is read. An embedded set has a source of no files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from playground.contract import Text
from playground.data import points, readers, shapes, speech, synthetic
from playground.data.folders import cache, locate, root
from playground.data.pictures import ImageData
from playground.data.points import PointData, point_data
from playground.data.recordings import SpeechData
from playground.data.remote import Remote
from playground.data.sounds import RATES

Loaded: TypeAlias = ImageData | PointData | SpeechData


@dataclass(frozen=True)
class Source:
    """Files or folders by their names in the data folder, none for what is embedded, and the function that reads them.

    It is given their paths, and of recordings the rate wanted, in Hz.
    """

    files: tuple[str, ...]
    read: Callable[..., Any]

    def paths(self) -> list[Path] | None:
        """Where the files lie, None if one of them is missing."""
        found = [locate(name) for name in self.files]
        return None if None in found else [path for path in found if path]


@dataclass(frozen=True)
class DataSet:
    """A registered set: what a person reads of it, and where it comes from."""

    title: Text
    about: Text
    offers: tuple[str, ...]
    credit: str
    sources: tuple[Source, ...]
    remotes: tuple[Remote, ...] = ()
    folder: str = ""
    """Where in the data folder `remotes` are put, and then unpacked."""
    unpack: Callable[[Path], None] = lambda folder: None
    rates: tuple[int, ...] = ()
    """Of recordings: the rates in Hz that they can be had at, the usual one first."""

    @property
    def embedded(self) -> bool:
        return any(not source.files for source in self.sources)

    def present(self) -> Source | None:
        """The first source whose files are all on this machine."""
        return next((source for source in self.sources if source.paths() is not None), None)


LABELLED, CAPTIONED, POINTS = (("images", "labelled images"), ("images", "captioned images"), ("points",))
DIGITS = ("labelled speech", "two speakers", "speech and text")
VOICES = ("speech and text", "two speakers")
VOICE = ("speech and text",)

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _idx_remotes(base: str, sizes: Sequence[int], md5s: Sequence[str]) -> tuple[Remote, ...]:
    files = zip(IDX_FILES, sizes, md5s, strict=True)
    return tuple(Remote(f"{name}.gz", (f"{base}/{name}.gz",), f"md5:{md5}", size) for name, size, md5 in files)


MNIST_REMOTES = _idx_remotes(
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    (9_912_422, 28_881, 1_648_877, 4_542),
    (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
)
FASHION_REMOTES = _idx_remotes(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    (26_421_880, 29_515, 4_422_102, 5_148),
    (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
)
CIFAR_REMOTE = Remote(
    readers.CIFAR_PACKED,
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    "md5:c32a1d4ab5d03f1284b67883e8d87530",
    170_052_171,
)
FACES_REMOTE = Remote(
    "olivettifaces.mat",
    ("https://ndownloader.figshare.com/files/5976027",),
    "sha256:b612fb967f2dc77c9c62d3e1266e0c73d5fca46a4b8906c18e454d41af987794",
    4_000_000,
)
FSDD_REMOTE = Remote(
    speech.FSDD_PACKED,
    ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",),
    "sha256:c680098f5d2355ba7cc4bd8b0ca9e0a24c00ebe3b4c552208889a4d28d4fbc2b",
    16_419_872,
)
LJSPEECH_REMOTE = Remote(
    speech.LJSPEECH_PACKED,
    ("https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",),
    "sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
    2_748_572_632,
)
EMOJI_REMOTE = Remote(
    readers.EMOJI_PACKED,
    tuple(f"https://github.com/joypixels/emojione/archive/refs/tags/{tag}.tar.gz" for tag in ("2.2.7", "v2.2.7")),
    "",  # an archive made on demand: its publisher gives no checksum
    94_196_568,
)


def _points(draw: Callable, title: Text, about: Text) -> DataSet:
    credit = "Points in the plane, drawn by this project; CC0 1.0"
    return DataSet(title, about, POINTS, credit, (Source((), lambda files: point_data(draw, credit)),))


SETS: dict[str, DataSet] = {
    "digits": DataSet(
        {"en": "Small digits (8x8)", "ko": "작은 숫자 (8x8)"},
        {
            "en": "1,797 handwritten digits of 8 by 8 pixels: enough to watch a model learn within a minute.",
            "ko": "8x8 픽셀의 손글씨 숫자 1,797개입니다. 모델이 배우는 모습을 1분 안에 볼 수 있습니다.",
        },
        LABELLED,
        readers.DIGITS_CREDIT,
        (Source((), readers.read_digits),),
    ),
    "mnist": DataSet(
        {"en": "MNIST", "ko": "MNIST"},
        {
            "en": "70,000 handwritten digits, 28 by 28, grey: the classic.",
            "ko": "28x28 회색조 손글씨 숫자 70,000개로 이루어진 고전적인 데이터입니다.",
        },
        LABELLED,
        readers.MNIST_CREDIT,
        (
            Source(
                tuple(f"MNIST/raw/{name}" for name in IDX_FILES),
                partial(readers.read_mnist, name="mnist", class_names=readers.DIGITS, credit=readers.MNIST_CREDIT),
            ),
        ),
        MNIST_REMOTES,
        "MNIST/raw",
        readers.unpack_idx,
    ),
    "fashion_mnist": DataSet(
        {"en": "Fashion-MNIST", "ko": "Fashion-MNIST"},
        {
            "en": "70,000 pictures of clothes in ten classes, 28 by 28, grey.",
            "ko": "열 종류의 옷과 신발, 가방을 담은 28x28 회색조 사진 70,000장입니다.",
        },
        LABELLED,
        readers.FASHION_CREDIT,
        (
            Source(
                tuple(f"FashionMNIST/raw/{name}" for name in IDX_FILES),
                partial(
                    readers.read_mnist, name="fashion_mnist", class_names=readers.CLOTHES, credit=readers.FASHION_CREDIT
                ),
            ),
        ),
        FASHION_REMOTES,
        "FashionMNIST/raw",
        readers.unpack_idx,
    ),
    "cifar10": DataSet(
        {"en": "CIFAR-10", "ko": "CIFAR-10"},
        {
            "en": "Colour photographs of animals and vehicles in ten classes, 32 by 32.",
            "ko": "동물과 탈것 열 종류를 담은 32x32 컬러 사진입니다.",
        },
        LABELLED,
        readers.CIFAR_CREDIT,
        (
            Source(("cifar10/train.bin", "cifar10/test.bin"), readers.read_cifar),
            Source(("cifar10.zip",), partial(readers.read_zip, name="cifar10", side=32, credit=readers.CIFAR_CREDIT)),
        ),
        (CIFAR_REMOTE,),
        "cifar10",
        readers.unpack_cifar,
    ),
    "faces": DataSet(
        {"en": "Faces (AT&T, Olivetti)", "ko": "얼굴 (AT&T, Olivetti)"},
        {
            "en": "400 faces of 40 people, ten of each, 64 by 64, grey.",
            "ko": "40명의 얼굴을 열 장씩 찍은 64x64 회색조 사진 400장입니다.",
        },
        LABELLED,
        readers.FACES_CREDIT,
        (
            Source(("olivettifaces.mat",), readers.read_olivetti),
            Source(("att_faces.zip",), partial(readers.read_zip, name="faces", side=64, credit=readers.FACES_CREDIT)),
        ),
        (FACES_REMOTE,),
    ),
    "emoji": DataSet(
        {"en": "Emoji with names", "ko": "이름이 붙은 이모지"},
        {
            "en": "About 1,400 to 1,600 emoji, 64 by 64 on white, each with its name in English and most in Korean.",
            "ko": "흰 바탕의 64x64 이모지 1,400~1,600개입니다. 모두 영어 이름이, 대부분은 한국어 이름도 있습니다.",
        },
        CAPTIONED,
        readers.EMOJI_CREDIT,
        (Source(("emoji.zip",), readers.read_emoji),),
        (EMOJI_REMOTE,),
        unpack=readers.unpack_emoji,
    ),
    "shapes": DataSet(
        {"en": "Captioned shapes", "ko": "설명이 붙은 도형"},
        {
            "en": "Coloured shapes, 32 by 32, drawn from captions; some combinations are kept for testing.",
            "ko": "글 설명대로 그린 32x32 색깔 도형입니다. 일부 조합은 시험용으로 남겨 둡니다.",
        },
        CAPTIONED,
        shapes.CREDIT,
        (Source((), lambda files: shapes.shapes()),),
    ),
    "moons": _points(
        points.moons,
        {"en": "Two moons", "ko": "두 개의 초승달"},
        {"en": "Two interleaved half circles.", "ko": "서로 맞물린 반원 두 개입니다."},
    ),
    "rings": _points(
        points.rings,
        {"en": "Two rings", "ko": "두 개의 고리"},
        {"en": "A circle within a circle.", "ko": "원 안에 원이 있습니다."},
    ),
    "swiss_roll": _points(
        points.swiss_roll,
        {"en": "Swiss roll", "ko": "스위스 롤"},
        {"en": "One long spiral.", "ko": "길게 말린 나선 하나입니다."},
    ),
    "eight_gaussians": _points(
        points.eight_gaussians,
        {"en": "Eight Gaussians", "ko": "여덟 개의 가우시안"},
        {
            "en": "Eight small heaps on a circle: a generator that forgets some shows it here.",
            "ko": "원 위에 놓인 작은 무리 여덟 개입니다. 생성기가 일부를 놓치면 바로 드러납니다.",
        },
    ),
    "spirals": _points(
        points.spirals,
        {"en": "Two spirals", "ko": "두 개의 나선"},
        {"en": "Two arms wound into each other.", "ko": "서로 감긴 두 갈래의 나선입니다."},
    ),
    "spoken_digits": DataSet(
        {"en": "Spoken digits", "ko": "말한 숫자"},
        {
            "en": "3,000 recordings of the digits zero to nine by six people, 8 kHz: the MNIST of speech.",
            "ko": "여섯 사람이 0부터 9까지 영어로 말한 녹음 3,000개(8 kHz)입니다. 음성의 MNIST라고 할 수 있습니다.",
        },
        DIGITS,
        speech.FSDD_CREDIT,
        (Source((f"{speech.FSDD}/recordings",), speech.read_spoken_digits),),
        (FSDD_REMOTE,),
        speech.FSDD,
        speech.unpack_spoken_digits,
        RATES,
    ),
    "digit_strings": DataSet(
        {"en": "Strings of spoken digits", "ko": "이어 말한 숫자"},
        {
            "en": "Strings of one to five spoken digits, put together from the single recordings, 16 kHz.",
            "ko": "숫자 하나씩 녹음한 것을 이어 붙여 한 개에서 다섯 개의 숫자를 말하게 한 녹음(16 kHz)입니다.",
        },
        VOICES,
        speech.FSDD_CREDIT,
        (Source((f"{speech.FSDD}/recordings",), speech.read_digit_strings),),
        (FSDD_REMOTE,),
        speech.FSDD,
        speech.unpack_spoken_digits,
        RATES[::-1],
    ),
    "ljspeech": DataSet(
        {"en": "LJ Speech", "ko": "LJ Speech"},
        {
            "en": "13,100 sentences from books read by one woman, 24 hours, here at 16 kHz.",
            "ko": "한 여성이 책의 문장 13,100개를 읽은 24시간 분량의 영어 녹음입니다(여기서는 16 kHz).",
        },
        VOICE,
        speech.LJSPEECH_CREDIT,
        (
            Source(
                (f"{speech.LJSPEECH}/metadata.csv", f"{speech.LJSPEECH}/wavs"),
                speech.corpus_reader("ljspeech", speech.LJSPEECH_CREDIT),
            ),
        ),
        (LJSPEECH_REMOTE,),
        "",
        speech.unpack_ljspeech,
        RATES[::-1],
    ),
    "espeak": DataSet(
        {"en": "A synthetic voice", "ko": "합성 음성"},
        {
            "en": "1,060 English sentences spoken by espeak-ng in four voices, with the time of every phone.",
            "ko": "espeak-ng가 네 가지 목소리로 말한 영어 문장 1,060개입니다. 모든 소리의 시각을 압니다.",
        },
        VOICES,
        synthetic.CREDIT,
        (Source((), synthetic.sentences),),
        rates=RATES[::-1],
    ),
    "espeak_digits": DataSet(
        {"en": "Synthetic spoken digits", "ko": "합성 음성으로 말한 숫자"},
        {
            "en": "Each digit twelve times by four synthetic voices, at many paces and pitches, 8 kHz.",
            "ko": "네 가지 합성 음성이 빠르기와 높이를 바꾸어 가며 숫자마다 열두 번씩 말합니다(8 kHz).",
        },
        DIGITS,
        synthetic.CREDIT,
        (Source((), synthetic.digits),),
        rates=RATES,
    ),
    "espeak_ko": DataSet(
        {"en": "A synthetic Korean voice", "ko": "한국어 합성 음성"},
        {
            "en": "540 Korean sentences spoken by espeak-ng in two voices, with the time of every phone.",
            "ko": "espeak-ng가 두 가지 목소리로 말한 한국어 문장 540개입니다. 모든 소리의 시각을 압니다.",
        },
        VOICES,
        synthetic.CREDIT,
        (Source((), synthetic.korean_sentences),),
        rates=RATES[::-1],
    ),
}


# --- Corpora that somebody has put into the data folder -------------------------------------------------------


def known(name: str) -> DataSet | None:
    """The registered set of that name, or the corpus in the LJSpeech layout in the data folder's folder of that name."""
    return SETS.get(name) or corpora().get(name)


def corpora() -> dict[str, DataSet]:
    """Every folder of the data folder that holds a `metadata.csv` beside `wavs`, by its name, but for registered ones."""
    found: dict[str, DataSet] = {}
    for place in dict.fromkeys((root(), cache())):
        for table in sorted(place.glob("*/metadata.csv")):
            name = table.parent.name
            if re.fullmatch("[A-Za-z0-9_]{1,40}", name) and name not in SETS and (table.parent / "wavs").is_dir():
                found.setdefault(name, _corpus(name))
    return found


def _corpus(name: str) -> DataSet:
    credit = speech.CORPORA.get(name, f"Recordings of the folder {name}; their licence is what their owner says it is")
    return DataSet(
        {"en": name.capitalize(), "ko": name.capitalize()},
        {
            "en": f"The recordings with texts in the data folder's {name}, here at 16 kHz.",
            "ko": f"데이터 폴더의 {name}에 있는, 글이 딸린 녹음입니다(여기서는 16 kHz).",
        },
        VOICE,
        credit,
        (Source((f"{name}/metadata.csv", f"{name}/wavs"), speech.corpus_reader(name, credit)),),
        rates=RATES[::-1],
    )
