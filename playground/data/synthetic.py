"""Speech made by espeak-ng: always there, of any text, with the time of every phone.

    espeak           English sentences by four voices          espeak_ko   Korean sentences by two
    espeak_digits    single digits by four voices, many times, each at a pace and a pitch of its own

The texts are drawn from a seed; one engine speaks a whole set in order, so that it is the same on every machine with
the same espeak-ng. English phones are those of `playground.text`, so that a voice trained here and one trained on
recordings read the same symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from playground.data import sounds, speech
from playground.data.recordings import Sound, SpeechData, Take
from playground.signal import edges
from playground.text import ENGLISH_PHONES, KOREAN_PHONES, Alphabet, phones
from playground.text.espeak import Engine, Spoken

CREDIT = "Speech synthesised by espeak-ng (J. Duddington, R. Dunn and contributors); made by this project, CC0 1.0"
VOICES = {"ann": "en-us+f3", "ben": "en-us", "dan": "en-us+m7", "eve": "en-us+f2"}
KOREAN_VOICES = {"민수": "ko", "지영": "ko+f3"}
SENTENCES, TEST_SENTENCES = 1_000, 60
KOREAN_SENTENCES, TEST_KOREAN_SENTENCES = 500, 40
TAKES, TEST_TAKES = 10, 2
"""Of each digit by each voice."""
VERSION = 1


def sentences(files: object, rate: int) -> SpeechData:
    """English sentences; no held-out one is among those trained on."""
    texts = drawn(english, SENTENCES + TEST_SENTENCES)
    takes = lambda: spoken(texts, VOICES, rate, TEST_SENTENCES, ENGLISH_PHONES)
    return speech.prepared("espeak", rate, CREDIT, _mark(texts, VOICES), takes)


def korean_sentences(files: object, rate: int) -> SpeechData:
    texts = drawn(korean, KOREAN_SENTENCES + TEST_KOREAN_SENTENCES)
    takes = lambda: spoken(texts, KOREAN_VOICES, rate, TEST_KOREAN_SENTENCES, KOREAN_PHONES)
    return speech.prepared("espeak_ko", rate, CREDIT, _mark(texts, KOREAN_VOICES), takes)


def digits(files: object, rate: int) -> SpeechData:
    """Each digit by each voice, at 130 to 200 words a minute and a pitch of 30 to 70; the last takes are held out."""

    def takes() -> Iterator[Take]:
        rng = np.random.RandomState(0)
        with Engine() as engine:
            for take in range(TAKES + TEST_TAKES):
                for name, voice in VOICES.items():
                    for digit, word in enumerate(speech.WORDS):
                        said = engine.speak(word, voice, int(rng.randint(130, 201)), int(rng.randint(30, 71)))
                        samples, phones_ = cut(said, rate, phones.of_ipa)
                        names = (f"{digit}_{name}_{take}", str(digit), name, word)
                        yield Take(names[0], samples, *names[1:], take >= TAKES, phones_)

    return speech.prepared("espeak_digits", rate, CREDIT, f"{VERSION} {VOICES}", takes, speech.DIGITS)


def _mark(texts: Sequence[str], voices: dict[str, str]) -> str:
    return "\n".join((str(VERSION), str(voices), *texts))


Named = Callable[[str], tuple[str, ...]]
"""A phone of espeak-ng -> the symbols of `playground.text`, usually one."""
NAMED: dict[str, Named] = {"en": phones.of_ipa, "ko": phones.of_korean_ipa}


def spoken(
    texts: Sequence[str], voices: dict[str, str], rate: int, held_out: int, alphabet: Alphabet
) -> Iterator[Take]:
    """Each text by one of the voices in turn, in the words that the alphabet reads; the last `held_out` are for testing."""
    names, named = list(voices), NAMED[alphabet.language]
    with Engine() as engine:
        for i, text in enumerate(texts):
            speaker = names[i % len(names)]
            samples, phones_ = cut(engine.speak(alphabet.normalise(text), voices[speaker]), rate, named)
            yield Take(f"{i:05d}", samples, "", speaker, text, i >= len(texts) - held_out, phones_)


def cut(said: Spoken, rate: int, named: Named) -> tuple[np.ndarray, tuple[Sound, ...]]:
    """(samples int16 at `rate` without the silence around them, the phones with their times moved accordingly)"""
    heard = edges.resample(torch.from_numpy(said.samples).float() / 32768, said.rate, rate)
    begin, end = edges.sounding(heard, rate)
    keep = rate // 50
    begin, end = max(0, begin - keep), min(len(heard), end + keep)
    inside = [
        Sound(s.symbol, max(0.0, s.start - begin / rate), min(s.end, end / rate) - begin / rate)
        for sound in said.phones
        for s in as_symbols(sound, named)
        if s.end > begin / rate and s.start < end / rate
    ]
    return sounds.as_int16(heard[begin:end].numpy()), tuple(inside)


def as_symbols(sound: Sound, named: Named) -> list[Sound]:
    """A phone of espeak-ng in the symbols of `playground.text`: two share its time where it stands for two."""
    symbols = named(sound.symbol) or ("",)  # a pause, or what has no name
    step = (sound.end - sound.start) / len(symbols)
    return [Sound(p, sound.start + k * step, sound.start + (k + 1) * step) for k, p in enumerate(symbols)]


# --- Texts ----------------------------------------------------------------------------------------------------


def _listed(*lines: str) -> tuple[str, ...]:
    return tuple(word.strip() for line in lines for word in line.split("|"))


PEOPLE = _listed(
    "the captain | a young woman | my brother | her uncle | the teacher | an old farmer | his neighbour",
    "our guide | the pilot | a quiet stranger | Mary | John | the queen | their cousin | the judge",
    "a tall boy",
)
THINGS = _listed(
    "a letter | the blue chair | fresh bread | two yellow pears | the engine | a broken mirror",
    "some cheese | the garden gate | thirty books | a huge box | the usual path | an oyster",
    "the white shirt | a measure of sugar | new shoes | the television",
)
ACTIONS = _listed(
    "found | carried | lost | watched | bought | measured | borrowed | painted | described | noticed",
    "wanted | returned | enjoyed | threw away | asked for | thought about",
)
PLACES = _listed(
    "near the river | in the village | behind the church | at the edge of the forest | on the bridge",
    "under the oak | by the harbor | across the road | outside the city | above the shop",
    "in the southern valley | beyond the hills",
)
TIMES = _listed(
    "yesterday | this morning | at five o'clock | before the storm | last Thursday | in early July",
    "after lunch | every other week | in the year 1872 | at night | long ago | on the 21st of March",
)
MANNERS = _listed(
    "slowly | with great care | without a word | just once | rather badly | by chance | as usual",
    "very quietly | in a hurry | with pleasure",
)
OPENINGS = _listed(
    "Perhaps | However | At last | To my surprise | For a while | Nobody knew why | In truth | Of course"
)
QUESTIONS = _listed("Who | Why would anybody say that | Do you think | Could it be | Did you hear")


def english(rng: np.random.RandomState) -> str:
    """A sentence of one of six shapes."""
    of = lambda words: str(words[rng.randint(len(words))])
    clause = lambda: f"{of(PEOPLE)} {of(ACTIONS)} {of(THINGS)}"
    shapes = (
        lambda: f"{clause()} {of(PLACES)}.",
        lambda: f"{of(TIMES)}, {clause()} {of(MANNERS)}.",
        lambda: f"{of(OPENINGS)}, {clause()} {of(TIMES)}.",
        lambda: f"{clause()}, but {clause()} {of(PLACES)}.",
        lambda: f"{of(QUESTIONS[2:])} that {clause()}?",
        lambda: f"number {rng.randint(1, 10_000)}, {of(PLACES)}, belongs to {of(PEOPLE)}.",
    )
    made = shapes[rng.randint(len(shapes))]()
    return made[0].upper() + made[1:]


WHO = _listed("선생님 | 동생 | 할머니 | 친구 | 의사 | 가수 | 아이 | 경찰 | 우리 형 | 어머니 | 왕 | 화가")
WHAT = _listed("사과 | 편지 | 책 | 꽃 | 빵 | 의자 | 물 | 노래 | 그림 | 신발 | 떡 | 가방")
DONE = _listed(
    "샀습니다 | 찾았습니다 | 보았습니다 | 잃어버렸습니다 | 좋아합니다 | 그렸습니다 | 가져왔습니다 | 만들었습니다 | 팔았습니다 | 원합니다"
)
WHERE = _listed("시장에서 | 강가에서 | 학교 앞에서 | 숲속에서 | 부엌에서 | 바닷가에서 | 도서관에서 | 마을에서")
WHEN = _listed("어제 | 오늘 아침 | 내일 | 지난주에 | 밤늦게 | 오후 세 시에 | 여름마다 | 비가 온 뒤에")
HOW = _listed("천천히 | 조용히 | 급하게 | 기쁘게 | 다시 | 함께 | 몰래 | 정말")


def particle(word: str, closed: str, opened: str) -> str:
    """The word with the particle that fits whether it ends in a consonant."""
    return word + (closed if (ord(word[-1]) - ord("가")) % 28 else opened)


def korean(rng: np.random.RandomState) -> str:
    """A polite sentence of one of four shapes."""
    of = lambda words: str(words[rng.randint(len(words))])
    who, what = particle(of(WHO), "이", "가"), particle(of(WHAT), "을", "를")
    shapes = (
        f"{of(WHEN)} {who} {of(WHERE)} {what} {of(DONE)}.",
        f"{who} {of(HOW)} {what} {of(DONE)}.",
        f"{of(WHERE)} {who} {what} {of(DONE)[:-1]}까?",
        f"{of(WHEN)}, {who} {what} {of(DONE)}, {particle(of(WHO), '은', '는')} {of(WHERE)} 기다렸습니다.",
    )
    return shapes[rng.randint(len(shapes))]


def drawn(sentence: Callable[[np.random.RandomState], str], n: int, seed: int = 0) -> list[str]:
    """`n` different sentences."""
    rng, found = np.random.RandomState(seed), dict[str, None]()
    while len(found) < n:
        found[sentence(rng)] = None
    return list(found)
