"""Who may import whom: the rules of the house, read from the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground import registry

ROOT = Path(__file__).parents[1]
LIBRARIES = {"transformers", "diffusers"}


def files(*places: str) -> list[Path]:
    found = [p for place in places for p in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))]
    assert found, places
    return sorted(found)


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(source: str, package: str = "", at_import: bool = False) -> set[str]:
    """Every module that some source imports, and what it takes from it: "a.b", "a.b.c".

    package: what relative imports are relative to. at_import: only what is imported when the module itself is, so not
    what stands in functions or under `if TYPE_CHECKING`.
    """
    found: set[str] = set()
    for node in _nodes(ast.parse(source), at_import):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            found |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return found


def _nodes(node: ast.AST, at_import: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if at_import and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if at_import and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _nodes(child, at_import)


def of(path: Path, at_import: bool = False) -> set[str]:
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    return imports(path.read_text("utf-8"), package, at_import)


def tops(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def within(modules: set[str], package: str) -> set[str]:
    return {module for module in modules if module == package or module.startswith(f"{package}.")}


FAMILY_FILES = [p for p in files("playground/families") if p.name != "__init__.py"]


@pytest.mark.parametrize("path", FAMILY_FILES, ids=ids)
def test_families_know_the_contract_and_nothing_of_the_house_around_it(path):
    found = of(path)
    assert not tops(found) & {"gradio", "trainers", "argparse", "benchmarks", *LIBRARIES}
    kind = path.relative_to(ROOT / "playground" / "families").parts
    own = f"playground.families.{kind[0]}.{kind[1].removesuffix('.py')}"
    assert within(found, "playground.families") <= within(found, own), "families never import families"
    for room in ("ui", "jobs", "staging", "checkpoint", "registry", "drawing", "references", "data", "metrics"):
        assert not within(found, f"playground.{room}"), room


@pytest.mark.parametrize("path", FAMILY_FILES, ids=ids)
def test_families_print_nothing_open_no_files_and_choose_no_device(path):
    tree = ast.parse(path.read_text("utf-8"))
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {"print", "open", "input", "torch.load", "torch.save", "torch.manual_seed"}
    assert not any(name.endswith((".cuda", ".open", ".read_text", ".write_text")) for name in called)
    assert not tops(of(path)) & {"os", "sys", "pathlib", "logging", "subprocess"}


@pytest.mark.parametrize("path", files("trainers"), ids=ids)
def test_trainers_know_no_interface(path):
    found = of(path)
    assert "gradio" not in tops(found)
    assert not within(found, "playground.ui")
    assert not tops(found) & LIBRARIES


@pytest.mark.parametrize("path", files("app.py", "playground", "trainers", "benchmarks"), ids=ids)
def test_only_references_import_the_libraries_they_stand_for(path):
    inside = (ROOT / "playground" / "references") in path.parents or (ROOT / "benchmarks" / "races") in path.parents
    assert inside or not tops(of(path)) & LIBRARIES


@pytest.mark.parametrize("path", files("app.py", "playground", "trainers"), ids=ids)
def test_references_are_imported_by_name_when_used(path):
    if (ROOT / "playground" / "references") not in path.parents:
        assert not within(of(path), "playground.references")


@pytest.mark.parametrize("path", files("playground", "trainers"), ids=ids)
def test_only_the_interface_imports_gradio(path):
    if (ROOT / "playground" / "ui") not in path.parents:
        assert "gradio" not in tops(of(path))


HOUSE = [p for p in files("app.py", "playground") if not {"families", "references"} & set(p.relative_to(ROOT).parts)]


@pytest.mark.parametrize("path", HOUSE, ids=ids)
def test_the_house_names_no_family(path):
    if path.name == "registry.py":  # it holds the order of the tabs
        return
    found = of(path)
    assert not {m for m in within(found, "playground.families") if m.count(".") > 2}
    tree = ast.parse(path.read_text("utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and isinstance(node.body[0], ast.Expr)
    }
    said = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    }
    assert not said & set(registry.families())


def test_scripts_of_the_page_name_no_family():
    for path in (ROOT / "playground" / "ui").rglob("*.js"):
        words = path.read_text("utf-8")
        assert not [n for n in registry.families() if f'"{n}"' in words or f"'{n}'" in words], path.name


def test_starting_the_program_imports_no_reference():
    """Nor does it import gradio, where nothing is shown: nine seconds and six that nobody waits for."""
    code = (
        "import sys, playground.__main__, trainers.__main__, playground.jobs; from playground import registry; "
        "[registry.trainer(name) for name in registry.families()]; "
        "print(sorted({'gradio', 'transformers', 'diffusers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_starting_the_interface_imports_no_reference():
    found: set[str] = set()
    for path in files("app.py", "playground"):
        if (ROOT / "playground" / "references") not in path.parents:
            found |= tops(of(path, at_import=True))
    assert "gradio" in found
    assert not found & LIBRARIES


# --- The reader of the trees ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "package", "at_import", "expected"),
    [
        ("import a.b as c", "", False, {"a.b"}),
        ("from a import b", "", False, {"a", "a.b"}),
        ("from . import b", "x.y", False, {"x.y", "x.y.b"}),
        ("from ..z import b", "x.y", False, {"x.z", "x.z.b"}),
        ("def f():\n    import a", "", False, {"a"}),
        ("def f():\n    import a", "", True, set()),
        ("if TYPE_CHECKING:\n    import a", "", True, set()),
        ("class C:\n    import a", "", True, {"a"}),
        ("importlib.import_module('a.b')", "", False, {"a.b"}),
        ("__import__('a')", "", False, {"a"}),
    ],
)
def test_imports_are_found_wherever_they_stand(source, package, at_import, expected):
    assert imports(source, package, at_import) == expected
