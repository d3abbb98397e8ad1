"""How each registered set of pictures is read, and what becomes of its download."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from playground.contract import Text
from playground.data import imagefolder
from playground.data.pictures import BadData, ImageData, Pictures, image_data, split
from playground.data.remote import whole

Files = Sequence[Path]

CIFAR_PACKED, EMOJI_PACKED = "cifar-10-binary.tar.gz", "emojione-2.2.7.tar.gz"

MNIST_CREDIT = "MNIST, Y. LeCun, C. Cortes and C. J. C. Burges (1998); CC BY-SA 3.0"
FASHION_CREDIT = "Fashion-MNIST, H. Xiao, K. Rasul and R. Vollgraf (2017), Zalando SE; MIT licence"
CIFAR_CREDIT = "CIFAR-10, A. Krizhevsky (2009), University of Toronto; as published there, to be cited"
FACES_CREDIT = "AT&T (formerly Olivetti) Database of Faces (1994), AT&T Laboratories Cambridge; free with this credit"
EMOJI_CREDIT = "EmojiOne 2 / EmojiTwo artwork, Ranks.com and the EmojiTwo community (2017); CC BY 4.0"
DIGITS_CREDIT = "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI; CC BY 4.0"

DIGITS = tuple("0123456789")
CLOTHES = {
    "T-shirt": "티셔츠",
    "trousers": "바지",
    "pullover": "스웨터",
    "dress": "원피스",
    "coat": "코트",
    "sandal": "샌들",
    "shirt": "셔츠",
    "sneaker": "운동화",
    "bag": "가방",
    "ankle boot": "앵클부츠",
}
THINGS = {
    "airplane": "비행기",
    "automobile": "자동차",
    "bird": "새",
    "cat": "고양이",
    "deer": "사슴",
    "dog": "개",
    "frog": "개구리",
    "horse": "말",
    "ship": "배",
    "truck": "트럭",
}
KOREAN = CLOTHES | THINGS
"""Class names of the registered sets, in the order of their labels."""


def class_text(name: str) -> Text:
    """A class name for the interface: registered sets' names are also known in Korean, others stay as they are."""
    return {"en": name, "ko": KOREAN.get(name, name)}


def read_digits(files: Files) -> ImageData:
    """1,797 handwritten 8x8 digits out of scikit-learn; a fifth of each class is held out."""
    from sklearn.datasets import load_digits

    grey, labels = (np.asarray(part) for part in load_digits(return_X_y=True))  # (1797, 64) from 0 to 16, (1797,)
    x = torch.from_numpy((grey * (255 / 16)).round().astype(np.uint8)).view(-1, 1, 8, 8)
    pictures = Pictures(x, torch.from_numpy(labels).long())
    train, test = (pictures.select(part) for part in split(len(x), 0.2, pictures.labels))
    return image_data("digits", train, test, DIGITS, DIGITS_CREDIT)


def read_idx(path: Path) -> Tensor:
    """The uint8 array of an IDX file (LeCun's format), mapped rather than read: processes share its pages."""
    with path.open("rb") as file:
        magic = file.read(4)
        shape = np.frombuffer(file.read(4 * magic[3]) if len(magic) == 4 else b"", ">u4").astype(int)
    start = 4 + 4 * len(shape)
    if magic != bytes([0, 0, 8, len(shape)]) or path.stat().st_size != start + shape.prod():
        raise _damaged(path)
    # Mode "c" is copy on write: torch asks for writable memory, the file stays untouched.
    return torch.from_numpy(np.memmap(path, np.uint8, "c", offset=start, shape=tuple(shape)))


def read_mnist(files: Files, name: str, class_names: Iterable[str], credit: str) -> ImageData:
    """28x28 pictures and labels in four IDX files, as MNIST and its successors come."""
    train_x, train_labels, test_x, test_labels = (read_idx(path) for path in files)
    train, test = (Pictures(train_x[:, None], train_labels.long()), Pictures(test_x[:, None], test_labels.long()))
    return image_data(name, train, test, class_names, credit)


def read_cifar(files: Files) -> ImageData:
    """The binary version: records of a label and 3x32x32 bytes, mapped where they lie."""

    def part(path: Path) -> Pictures:
        if path.stat().st_size % 3073:
            raise _damaged(path)
        records = torch.from_numpy(np.memmap(path, np.uint8, "c")).view(-1, 3073)
        return Pictures(records[:, 1:].unflatten(1, (3, 32, 32)), records[:, 0].long())

    return image_data("cifar10", part(files[0]), part(files[1]), THINGS, CIFAR_CREDIT)


def read_zip(files: Files, name: str, side: int, credit: str) -> ImageData:
    """A zip of pictures in folders."""
    return imagefolder.read(files[0], name, side, credit)[0]


def read_olivetti(files: Files) -> ImageData:
    """400 faces of 40 people, 64x64, as S. Roweis prepared them; a tenth of each person's is held out."""
    from scipy.io import loadmat

    faces = loadmat(files[0])["faces"].astype(np.uint8)  # (4096, 400), each picture column by column
    x = torch.from_numpy(faces.T.reshape(400, 1, 64, 64).swapaxes(2, 3).copy())
    pictures = Pictures(x, torch.arange(400) // 10)
    train, test = (pictures.select(part) for part in split(400, 0.1, pictures.labels))
    people = [f"s{n}" for n in range(1, 41)]
    return image_data("faces", train, test, people, f"{FACES_CREDIT}; 64x64 version by S. Roweis")


def read_emoji(files: Files) -> ImageData:
    """Emoji with their names; the Korean ones come from the package `emoji`, where it knows the sign."""
    import emoji

    emoji.config.load_language("ko")
    # Texts join signs and ask for their coloured form by characters that file names leave out.
    names = {re.sub("[\u200d\ufe0f]", "", sign): about.get("ko", "") for sign, about in emoji.EMOJI_DATA.items()}

    def korean(file_name: str) -> str:
        sign = "".join(chr(int(code, 16)) for code in Path(file_name).stem.split("-"))
        return names.get(sign, "").strip(":").replace("_", " ")

    return imagefolder.read(files[0], "emoji", 64, EMOJI_CREDIT, korean=korean)[0]


def _damaged(path: Path) -> BadData:
    return BadData(
        f"{path} is damaged or incomplete: delete it, and it will be downloaded again.",
        f"{path} 파일이 손상되었거나 일부만 있습니다. 지우면 다시 내려받습니다.",
    )


# --- What becomes of a download -------------------------------------------------------------------------------


def unpack_idx(folder: Path) -> None:
    """Each .gz in the folder becomes the file it holds."""
    for packed in folder.glob("*-ubyte.gz"):
        with gzip.open(packed) as source, whole(packed.with_suffix("")) as target:
            shutil.copyfileobj(source, target)
        packed.unlink()


def unpack_cifar(folder: Path) -> None:
    """The records of the tarball, in one file for training and one for testing."""
    packed = folder / CIFAR_PACKED
    with tarfile.open(packed) as tar, whole(folder / "train.bin") as train, whole(folder / "test.bin") as test:
        members = {Path(member.name).name: member for member in tar if member.isfile()}
        for name, target in [*((f"data_batch_{n}.bin", train) for n in range(1, 6)), ("test_batch.bin", test)]:
            source = tar.extractfile(members[name])
            assert source is not None  # only links and folders have none
            shutil.copyfileobj(source, target)
    packed.unlink()


def unpack_emoji(folder: Path) -> None:
    """The 64x64 pictures of the package, without the variants of skin colour, as an imagefolder in a zip."""
    packed = folder / EMOJI_PACKED
    with tarfile.open(packed) as tar, whole(folder / "emoji.zip") as file, zipfile.ZipFile(file, "w") as target:
        table = io.StringIO()
        rows = csv.writer(table)
        rows.writerow(["file_name", "text", "category"])
        signs: dict[str, dict[str, str]] = {}
        pictures: dict[str, bytes] = {}
        for member in tar:
            if source := tar.extractfile(member):
                _, _, name = member.name.partition("/")  # below the folder that the archive wraps everything in
                if name == "emoji.json":
                    signs = {sign["unicode"]: sign for sign in json.load(source).values()}
                elif re.fullmatch(r"assets/png/[0-9a-f-]+\.png", name):
                    pictures[Path(name).stem] = source.read()
        for code in sorted(signs.keys() & pictures.keys()):
            if not re.search("-1f3f[b-f]", code):
                target.writestr(f"emoji/{code}.png", pictures[code])
                rows.writerow([f"{code}.png", signs[code]["name"], signs[code]["category"]])
        target.writestr("emoji/metadata.csv", table.getvalue())
    packed.unlink()
