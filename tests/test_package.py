"""The package as a stranger meets it: its names, its wheel, its doors and its licences."""

from __future__ import annotations

import ast
import json
import pickle
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import tumorlens
from tumorlens import errors, optional
from tumorlens.errors import InputError, MissingExtra, ModelFileError
from tumorlens.viewing.web.site import EXAMPLES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "src/tumorlens").rglob("*.py"))
}
NEEDS_TORCH = (
    *("tumorlens.network.*", "tumorlens.training.*", "tumorlens.exporting.*"),
    *("tumorlens.tuning.nested_search", "tumorlens.tuning.trials"),
)


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Names and version


def test_public_names_are_pinned_and_load():
    assert tumorlens.__all__ == [
        "Audit",
        "Card",
        "DataError",
        "Detector",
        "DicomSummary",
        "Evaluation",
        "Finding",
        "InputError",
        "Installation",
        "Manifest",
        "MissingExtra",
        "ModelFileError",
        "Recipe",
        "RecipeError",
        "RunSummary",
        "Scores",
        "SeenSlice",
        "SeriesFinding",
        "ServiceLimits",
        "Slice",
        "SliceInfo",
        "StudyFinding",
        "TrainingResult",
        "TumorlensError",
        "Tuning",
        "UsageError",
        "WebPage",
        "__version__",
        "audit",
        "benchmark",
        "calibrate",
        "distribute",
        "draw",
        "evaluate",
        "export",
        "info",
        "load_card",
        "merge",
        "predict",
        "predict_studies",
        "read",
        "score",
        "seen",
        "serve",
        "split",
        "train",
        "tune",
        "view",
        "watch",
        "write_dicom",
        "write_records",
        "write_web_page",
    ]
    for name in tumorlens.__all__:
        assert getattr(tumorlens, name) is not None


def test_no_module_hides_a_public_function():
    functions = {name for name in tumorlens.__all__ if name[0].islower()}
    rooms = {name.split(".")[-1] for name in MODULES if not name.startswith("tumorlens.cli.verbs.")}
    assert functions & rooms == set()


def test_every_error_is_public():
    assert {name for name in tumorlens.__all__ if name in errors.__all__} == set(errors.__all__)


def test_version_is_the_same_everywhere():
    version = tumorlens.__version__
    assert metadata.version("tumorlens") == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert headings[0] == version


def test_readme_names_every_verb():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for verb in import_module("tumorlens.cli.main").VERBS:
        assert f"`tumorlens {verb}" in text


def test_readme_and_pages_point_at_files_that_exist():
    pages = [ROOT / "README.md", ROOT / "examples/README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)[)#]", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} points at {target}"


def test_no_two_modules_share_a_name():
    # A verb's module bears the verb's name, whatever else is called so: card.
    rooms = (path for path in MODULES.values() if path.parent.name != "verbs")
    stems = Counter(path.stem for path in rooms if path.stem != "__init__")
    assert [stem for stem, count in stems.items() if count > 1] == []


# What an import costs


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("tumorlens", set()),
        ("tumorlens.errors", set()),
        ("tumorlens.cli.main", {"click"}),
        ("tumorlens.finding", {"numpy"}),
        ("tumorlens.imaging.preprocess", {"numpy", "PIL", "msgspec", "typing_extensions"}),
    ],
)
def test_import_brings_only(module, allowed):
    code = f"""
import sys
before = set(sys.modules)
import {module}
roots = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(root for root in roots if root not in sys.stdlib_module_names))
"""
    brought = {name for name in run_python(code).split() if not name.startswith("_")}
    assert brought - allowed == {"tumorlens"}


def test_light_core_imports_without_any_extra():
    light = [name for name in MODULES if not any(fnmatch(name, pattern) for pattern in NEEDS_TORCH)]
    light += [f"tumorlens.training.{name}" for name in ("recipe", "result", "workflow")]
    extras = sorted({module for modules in optional.EXTRAS.values() for module in modules})
    code = f"""
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {extras}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
for name in {light}:
    importlib.import_module(name)
"""
    run_python(code)


@pytest.mark.parametrize("path", sorted(ROOT.glob("recipes/*.toml")), ids=lambda path: path.stem)
def test_every_recipe_is_parsed(path):
    recipe = import_module("tumorlens.training.recipe")
    assert recipe.read_recipe(path.stem) == recipe.read_recipe(path)


def test_the_recipes_are_there():
    assert {"seed", "release"} <= {path.stem for path in ROOT.glob("recipes/*.toml")}


# Doors


def find_loads(path: Path) -> Iterator[str]:
    """Modules that a file loads by name: ``load("x.y")``, ``import_module("x")``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else None
        called = node.func.id if isinstance(node.func, ast.Name) else called
        first = node.args[0]
        if called in {"load", "import_module"} and isinstance(first, ast.Constant):
            yield str(first.value)


def read_doors() -> dict[str, set[str]]:
    """Heavy library -> patterns of the modules that may import it, from the contracts."""
    doors: dict[str, set[str]] = {}
    for contract in PROJECT["tool"]["importlinter"]["contracts"]:
        if contract["id"].startswith("door"):
            for library in contract["forbidden_modules"]:
                doors.setdefault(library, set())
            for line in contract["ignore_imports"]:
                module, _, library = line.partition(" -> ")
                doors[library].add(module)
    return doors


def test_loads_by_name_use_the_doors_of_the_contracts():
    doors = read_doors()
    assert "sklearn" in doors
    passed_by = [
        f"{module} loads {loaded}"
        for module, path in MODULES.items()
        for loaded in find_loads(path)
        if (root := loaded.partition(".")[0]) in doors
        and not any(fnmatch(module, pattern) for pattern in doors[root])
    ]
    assert passed_by == []


def test_find_loads_sees_both_spellings(tmp_path):
    source = tmp_path / "module.py"
    source.write_text('optional.load("sklearn.metrics")\nimport_module("torch")\nload(name)\n')
    assert list(find_loads(source)) == ["sklearn.metrics", "torch"]


# Nothing unpickles: a file from a stranger runs no code

PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
SAFE = {"np": ("allow_pickle", False), "torch": ("weights_only", True)}


def find_unpickling(path: Path) -> Iterator[str]:
    """Imports of picklers, and calls of ``np.load`` and ``torch.load`` that do not refuse them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name for name in names if name.partition(".")[0] in PICKLERS)
        if not isinstance(node, ast.Call):
            continue
        given = {one.arg: getattr(one.value, "value", None) for one in node.keywords}
        if given.get("weights_only") is False or given.get("allow_pickle") is True:
            yield ast.unparse(node)
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr == "load":
            name, value = SAFE.get(getattr(called.value, "id", ""), ("", None))
            if name and given.get(name) is not value:
                yield ast.unparse(node)


def test_no_module_unpickles():
    found = {module: list(find_unpickling(path)) for module, path in MODULES.items()}
    assert {module: ways for module, ways in found.items() if ways} == {}


def test_find_unpickling_sees_each_way(tmp_path):
    ways = ["import pickle", "from joblib import load", "np.load(x)", "torch.load(x, map=1)"]
    ways += ["fit(weights_only=False)", "read(allow_pickle=True)"]
    for way in ways:
        (tmp_path / "module.py").write_text(way)
        assert len(list(find_unpickling(tmp_path / "module.py"))) == 1, way
    (tmp_path / "module.py").write_text(
        "np.load(x, allow_pickle=False), torch.load(x, weights_only=True)"
    )
    assert list(find_unpickling(tmp_path / "module.py")) == []


# Extras and licences

IMPORT_NAMES = {
    "scikit-learn": "sklearn",
    "litert-torch": "litert_torch",
    "dicomweb-client": "dicomweb_client",
    "prometheus-client": "prometheus_client",
    "python-multipart": "python_multipart",
    "mlflow-skinny": "mlflow",
    "ai-edge-litert": "ai_edge_litert",
    "ai-edge-quantizer": "ai_edge_quantizer",
}


def test_optional_knows_what_the_extras_bring():
    for extra, modules in optional.EXTRAS.items():
        wanted = {
            Requirement(line).name for line in PROJECT["project"]["optional-dependencies"][extra]
        }
        wanted = {IMPORT_NAMES.get(name, name) for name in wanted if name != "tumorlens"}
        assert set(modules) == wanted, extra


def test_every_optional_load_names_the_extra_that_brings_it():
    loaded = {
        name.partition(".")[0]
        for module, path in MODULES.items()
        if module != "tumorlens.cli.main"  # which loads its own verbs
        for name in find_loads(path)
    }
    assert {"sklearn", "scipy", "safetensors"} <= loaded
    known = {module for modules in optional.EXTRAS.values() for module in modules}
    assert loaded - known == set()


@pytest.mark.parametrize(
    ("module", "extra"), [("scipy.stats", "evaluate"), ("safetensors.torch", "train")]
)
def test_a_missing_library_is_told_with_its_extra(monkeypatch, module, extra):
    root = module.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == root]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, root, None)
    with pytest.raises(MissingExtra, match=rf"a test needs .*pip install .*\[{extra}\]"):
        optional.load(module, "a test")


class Installed:
    """What pip recorded of an installation: tumorlens as a folder of metadata."""

    def __init__(self, folder, origin=None):
        self.info = folder / "tumorlens-0.dist-info"
        self.info.mkdir(parents=True)
        extras = 'Requires-Dist: scipy>=1.13; extra == "evaluate"\n'
        extras += "Requires-Dist: torch>=2.6; extra == 'train'\nRequires-Dist: numpy>=2.0\n"
        (self.info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: tumorlens\n{extras}")
        if origin is not None:
            (self.info / "direct_url.json").write_text(json.dumps(origin))


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "my clone"
    folder.mkdir()
    return folder


def say_install_beside(monkeypatch, folder, origin):
    found = metadata.PathDistribution(Installed(folder, origin).info)
    monkeypatch.setattr(metadata, "distribution", lambda name: found)
    return optional.say_install("evaluate")


def test_the_hint_names_the_clone_or_the_wheel_that_was_installed(monkeypatch, tmp_path, clone):
    url, wheel = clone.as_uri(), clone / "tumorlens-0-py3-none-any.whl"
    wheel.touch()
    for number, (origin, line) in enumerate(
        {
            f'pip install -e "{clone}[evaluate]"': {"url": url, "dir_info": {"editable": True}},
            f'pip install "{clone}[evaluate]"': {"url": url, "dir_info": {}},
            f'pip install "{wheel}[evaluate]"': {"url": wheel.as_uri(), "archive_info": {}},
            'pip install "tumorlens[evaluate] @ git+https://h/x.git"': {
                "url": "https://h/x.git", "vcs_info": {"vcs": "git", "commit_id": "0"},
            },
        }.items()
    ):  # fmt: skip
        assert say_install_beside(monkeypatch, tmp_path / str(number), line) == origin


@pytest.mark.parametrize("origin", [None, {"url": "file:///gone/tumorlens-0-py3-none-any.whl"}])
def test_the_hint_names_libraries_where_the_origin_is_gone(monkeypatch, tmp_path, origin):
    assert say_install_beside(monkeypatch, tmp_path, origin) == 'pip install "scipy>=1.13"'


def test_the_hint_of_a_clone_that_was_never_installed(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    assert optional.say_install("train") == f'pip install "{ROOT}[train]"'


def test_errors_survive_the_way_to_another_process():
    for error in (
        MissingExtra("scipy", "evaluate", "pip install x", "a test"),
        InputError("a.png", "is damaged", "export it anew"),
        ModelFileError("m.onnx: no such file"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def collect_core() -> dict[str, metadata.Distribution]:
    """All that ``pip install tumorlens`` brings, as installed here."""
    found: dict[str, metadata.Distribution] = {}
    lines = list(PROJECT["project"]["dependencies"])
    while lines:
        requirement = Requirement(lines.pop())
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and name not in found:
            found[name] = metadata.distribution(name)
            lines += found[name].requires or []
    return found


def test_core_is_listed_with_its_licences_and_holds_no_gpl():
    table = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    core = collect_core()
    assert len(core) >= len(PROJECT["project"]["dependencies"])
    assert "pylibjpeg-libjpeg" not in core
    for name, distribution in core.items():
        assert f"\n| {name} |" in table, f"{name} is missing from docs/dependencies.md"
        fields = distribution.metadata
        stated = [fields.get("License-Expression") or "", (fields.get("License") or "")[:200]]
        stated += [line for line in fields.get_all("Classifier") or [] if "License" in line]
        assert not re.search(r"GPL|General Public", " ".join(stated)), f"{name}: {stated}"


# The wheel


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_carries_code_types_recipes_and_terms(wheel_names):
    licences = f"tumorlens-{tumorlens.__version__}.dist-info/licenses"
    wanted = {path.relative_to(ROOT / "src").as_posix() for path in MODULES.values()}
    wanted |= {"tumorlens/py.typed", f"{licences}/LICENSE", f"{licences}/MODEL_LICENSE.md"}
    templates = (ROOT / "src/tumorlens/report/templates").iterdir()
    wanted |= {f"tumorlens/report/templates/{path.name}" for path in templates}
    wanted |= {f"tumorlens/training/recipes/{path.name}" for path in ROOT.glob("recipes/*.toml")}
    assert wanted - wheel_names == set()


def test_wheel_carries_every_model_of_the_registry(wheel_names):
    models = import_module("tumorlens.model.registry").MODELS
    assert models
    for entry in models.values():
        assert f"tumorlens/model/bundled/{entry.file}" in wheel_names


def test_wheel_carries_no_pictures_and_no_tests(wheel_names):
    strange = [name for name in wheel_names if name.startswith(("tests", "examples"))]
    strange += [
        name for name in wheel_names if re.search(r"\.(png|jpe?g|dcm|webp|nii(\.gz)?)$", name)
    ]
    shown = {f"tumorlens/viewing/web/examples/{name}" for name in EXAMPLES}  # by the web page
    assert set(strange) == shown
