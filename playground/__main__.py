"""The playground without its interface.

python -m playground list                                    families, their checkpoints and views
python -m playground generate vae --n 16 --seed 1 --out made
python -m playground generate vae --n 10000 --format npy --out made
python -m playground generate vae --view reconstruct --input photo.jpg --out made
python -m playground generate NAME --view inpaint --picture photo.jpg --mask mask.png --out made
python -m playground generate NAME --text "Hello." --vocoder griffin_lim --out said
python -m playground generate vae --help                     every view of the family with its controls
python -m playground compare vae --out compared              ours and the reference from one seed
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from playground import batches, comparing, inputs, registry, sounding, staging, writing
from playground import checkpoint as checkpoints
from playground.checkpoint import Checkpoint, Damaged
from playground.contract import Control, Told, View
from playground.ui.repeat import shown_path

FAILED = 2
"""Exit status after an error that the message explains."""
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        options, raw = _parse(words)
        {"list": _list, "generate": _generate, "compare": _compare}[options.command](options, raw)
    except (Told, Damaged, registry.UnknownFamily, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


# --- What is asked for ----------------------------------------------------------------------------------------


def _parse(words: list[str]) -> tuple[argparse.Namespace, dict[str, str]]:
    """The options, and the raw values of the controls that were given, by name."""
    parser = argparse.ArgumentParser(
        "python -m playground", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="families, their checkpoints and views")
    known = {}
    for name, about in (("generate", "draw a view of a checkpoint"), ("compare", "ours and the reference together")):
        known[name] = commands.add_parser(name, help=about, allow_abbrev=False)
        _common(known[name], generates=name == "generate")
    family = _family_among(words[1:]) if words and words[0] in known else ""
    views = _views(family, words[0] == "compare", _asks_for_reference(words)) if family else []
    names = {c.name: c for view in views for c in view.controls}
    for view in views:
        _add_controls(known[words[0]], view)
    options = parser.parse_args(words)
    given = {name: getattr(options, f"control_{name}", None) for name in names}
    return options, {name: value for name, value in given.items() if value is not None}


def _common(parser: argparse.ArgumentParser, generates: bool) -> None:
    add = parser.add_argument
    add("family", metavar="FAMILY", help=f"one of {', '.join(registry.families())}")
    add("--out", required=True, metavar="DIR", type=Path, help="folder for the files; those of the same name go")
    add("--n", type=int, default=None, metavar="N", help="samples (default: as many as the view draws)")
    add("--vocoder", metavar="KEY", help=f"what sounds mels: one of {', '.join(v.key for v in sounding.vocoders())}")
    if generates:
        add("--checkpoint", type=Path, metavar="DIR", help="a checkpoint folder (default: the shipped one)")
        add("--reference", action="store_true", help="the reference's checkpoint instead of ours")
        add("--view", default="", metavar="KEY", help="which view (default: the one that generates)")
        add("--format", choices=writing.FORMATS, help="default: each output in the format that suits it")
        add("--input", type=Path, metavar="FILE", help="for the view's first picture or recording")
    else:
        add("--checkpoint", type=Path, metavar="DIR", help="ours (default: the shipped checkpoint)")
        add("--reference-checkpoint", type=Path, metavar="DIR", help="the reference (default: the shipped one)")


def _family_among(words: list[str]) -> str:
    """The family named in the words after the command, "" where there is none. Raises `UnknownFamily`."""
    if words and not words[0].startswith("-"):
        return registry.family(words[0]).name
    return next((word for word in words if word in registry.families()), "")


def _asks_for_reference(words: list[str]) -> bool:
    """Whether the controls are those of the reference: asked for by name, or by a folder that holds one."""
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--checkpoint", type=Path, default=Path())
    known, _ = peek.parse_known_args(words)
    return "--reference" in words or (known.checkpoint / "playground.json").is_file()


def _views(family: str, compares: bool, reference: bool) -> list[View]:
    found = registry.family(family)
    if compares:
        return [staging.generating_view(found), staging.generating_view(found, reference=True)]
    return [staging.generating_view(found, reference=True)] if reference else list(found.views)


def _add_controls(parser: argparse.ArgumentParser, view: View) -> None:
    """A flag for each control that has none yet: views share some, and `--n` is always there."""
    group = parser.add_argument_group(f"controls of the view {view.key!r}: {view.about['en']}")
    for control in view.controls:
        flag = f"--{control.name.replace('_', '-')}"
        if flag not in parser._option_string_actions:  # argparse has no public way to ask
            kind = "FILE" if control.kind in inputs.KINDS else control.kind.upper()
            group.add_argument(flag, dest=f"control_{control.name}", metavar=kind, help=_help(control))


def _help(control: Control) -> str:
    parts = [control.label["en"], *filter(None, [inputs.KINDS.get(control.kind)])]
    if control.low is not None and control.high is not None:
        parts.append(f"{control.low:g} to {control.high:g}")
    if callable(control.choices):
        parts.append("a name or a number")
    elif control.choices:
        parts.append(" or ".join(f"{value} ({words['en']})" for words, value in control.choices))
    if control.default is not None:
        parts.append(f"default {control.default}")
    return "; ".join(parts).replace("%", "%%")


# --- The commands ---------------------------------------------------------------------------------------------


def _list(options: argparse.Namespace, raw: dict[str, str]) -> None:
    for name, family in registry.families().items():
        print(f"{name}  ({family.kind})  {family.title['en']}: {family.idea['en']}")
        print(f"    paper: {family.paper}")
        print(f"    views: {', '.join(view.key for view in family.views)}")
        for side in comparing.SIDES:
            found = ", ".join(folder.name for folder in checkpoints.shipped(name, side)) or "none yet"
            title = f"reference ({family.reference.cls})" if side == "reference" else side
            print(f"    checkpoints of {title}: {found}")
    for name, trace in registry.failures().items():
        print(f"{name}  cannot be loaded: {trace.strip().splitlines()[-1]}")


def _generate(options: argparse.Namespace, raw: dict[str, str]) -> None:
    checkpoint = _opened(options)
    view = staging.view(checkpoint, options.view)
    values = _values(checkpoint, view, raw, options.input)
    if options.n is not None and view.key != staging.view(checkpoint).key:
        values["n"] = options.n
    settings = {"family": options.family, "side": checkpoint.side, "view": view.key}
    settings["checkpoint"] = shown_path(checkpoint.folder) if checkpoint.folder else ""
    settings |= {"vocoder": sounding.vocoder(options.vocoder).key} if options.vocoder else {}
    with (
        writing.opened(options.out, view.key, options.format, settings, options.vocoder) as writer,
        tqdm(total=options.n, desc=view.key, unit="sample", disable=None) as bar,
    ):
        part = 0
        for batch in batches.draw(checkpoint, view, values, options.n):
            part = 0 if batch.whole else part + 1
            bar.set_postfix_str(f"part {part}" if part > 1 else "")
            if batch.whole:
                writer.add(batch, options.n or batch.size)
                bar.update(batch.size)
    print("\n".join(str(path) for path in writer.written))


def _opened(options: argparse.Namespace) -> Checkpoint:
    """The checkpoint asked for; it must be of this family and, with --reference, the reference's."""
    side = "reference" if options.reference else "ours"
    return _open(options.family, side, options.checkpoint, either=not options.reference)


def _open(family: str, side: str, folder: Path | None, either: bool = False) -> Checkpoint:
    """The checkpoint in `folder`, by default the shipped one, which must be of this family and side, or `either`."""
    try:
        checkpoint = comparing.open_side(family, side, folder)
    except Damaged as error:
        raise Damaged(f"{folder or 'the shipped checkpoint'}: {error}") from None
    if checkpoint.family != family or (not either and checkpoint.side != side):
        raise Told(
            f"{checkpoint.folder}: holds {checkpoint.family} ({checkpoint.side}), not {family} ({side})",
            f"{checkpoint.folder}: {family} ({side}) 체크포인트가 아니라 {checkpoint.family} ({checkpoint.side})입니다",
        )
    return checkpoint


def _values(checkpoint: Checkpoint, view: View, raw: dict[str, str], file: Path | None) -> dict[str, Any]:
    """The controls' raw values with files read. A control that this checkpoint does not have is refused."""
    shown = {c.name: c for c in view.controls if c.shown(checkpoint.config, checkpoint.info)}
    for name in raw:
        if name not in shown:
            listed = ", ".join(shown)
            raise Told(f"--{name}: view {view.key} of this checkpoint has no such control; there are {listed}")
    files = _files(view, raw)
    if file is not None:
        first = next((name for name, c in shown.items() if c.kind in inputs.KINDS and name not in files), None)
        if first is None:
            raise Told(f"--input: view {view.key} of this checkpoint takes no picture and no recording")
        files[first] = file
    return {**raw, **inputs.read(view, checkpoint.info, files)}


def _files(view: View, raw: dict[str, str]) -> dict[str, Path]:
    """Those of the raw values that name files, by control."""
    kinds = {c.name: c.kind for c in view.controls}
    return {name: Path(value) for name, value in raw.items() if kinds.get(name) in inputs.KINDS}


def _compare(options: argparse.Namespace, raw: dict[str, str]) -> None:
    family = registry.family(options.family)
    folders = {"ours": options.checkpoint, "reference": options.reference_checkpoint}
    opened = {side: _open(family.name, side, folders[side]) for side in comparing.SIDES}
    if options.n is not None:
        raw = {**raw, "n": str(options.n)}
    sides = [_draw_side(side, checkpoint, raw) for side, checkpoint in opened.items()]
    settings = {name: value for name, value in raw.items() if name not in _files(family.views[0], raw)}
    settings |= {"vocoder": sounding.vocoder(options.vocoder).key} if options.vocoder else {}
    written = comparing.write(family, sides, options.out, settings, options.vocoder)
    written += writing.comparison(family, sides, options.out, settings)
    print((options.out / "comparison.md").read_text(encoding="utf-8"))
    print("\n".join(str(path) for path in written))


def _draw_side(side: str, checkpoint: Checkpoint, raw: dict[str, str]) -> comparing.Side:
    """One side of a comparison, the files fitted to what its own checkpoint takes."""
    view = staging.view(checkpoint)
    return comparing.draw_side(side, checkpoint, {**raw, **inputs.read(view, checkpoint.info, _files(view, raw))})


if __name__ == "__main__":
    sys.exit(main())
