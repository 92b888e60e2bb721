"""What no code of the service does, for it would run what somebody else wrote."""

import ast

import pytest

from app.settings import CLONE_FOLDER

SOURCES = sorted([*(CLONE_FOLDER / "app").rglob("*.py"), CLONE_FOLDER / "worker.py", CLONE_FOLDER / "wsgi.py"])
NEVER_IMPORTED = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.unsafe_load", "yaml.full_load"}
SAFE_LOADERS = {"yaml.SafeLoader", "yaml.CSafeLoader", "getattr(yaml, 'CSafeLoader', yaml.SafeLoader)"}
HARMLESS = {"UnpicklingError"}  # an exception: torch raises it for weights that it refuses


def faults(tree):
    """List what a module does that none may do."""
    own_loaders = set(loaders(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.partition(".")[0] in NEVER_IMPORTED)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] in NEVER_IMPORTED:
                yield from (name.name for name in node.names if name.name not in HARMLESS)
        elif isinstance(node, ast.Call):
            yield from call_faults(node, SAFE_LOADERS | own_loaders)


def loaders(tree):
    """Name the safe loaders that a module gives a name of its own, and those that it derives from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.bases and ast.unparse(node.bases[0]) in SAFE_LOADERS:
            yield node.name
        if isinstance(node, ast.AnnAssign) and node.value and ast.unparse(node.value) in SAFE_LOADERS:
            yield ast.unparse(node.target)


def call_faults(call, safe_loaders):
    name = ast.unparse(call.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name in NEVER_CALLED:
        yield name
    if given.get("shell", "False") != "False":
        yield f"{name}(shell=...)"
    if given.get("allow_pickle", "False") != "False":
        yield f"{name}(allow_pickle=...)"
    if name == "torch.load" and given.get("weights_only") != "True":
        yield "torch.load without weights_only"
    if name in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
        yield "numpy.load without allow_pickle=False"
    if name in ("yaml.load", "yaml.load_all", "yaml.compose", "yaml.parse"):
        loader = given.get("Loader") or (ast.unparse(call.args[1]) if len(call.args) > 1 else "")
        if loader not in safe_loaders:
            yield f"{name} with the loader {loader or '(none)'}"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "eval(text)",
        "exec(text)",
        "subprocess.run(text, shell=True)",
        "yaml.load(text, yaml.Loader)",
        "yaml.load(text, Loader=yaml.FullLoader)",
        "yaml.unsafe_load(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_check_finds(code):
    assert list(faults(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "class Lines(yaml.SafeLoader): pass\nyaml.load(text, Lines)",
        "torch.load(path, weights_only=True)",
        "re.compile(text)",
        "model.eval()",
        "subprocess.run([text])",
    ],
)
def test_the_check_lets_pass(code):
    assert not list(faults(ast.parse(code)))


def test_no_module_runs_what_others_wrote():
    found = [
        f"{path.relative_to(CLONE_FOLDER)}: {fault}"
        for path in SOURCES
        for fault in faults(ast.parse(path.read_text("utf-8")))
    ]
    assert len(SOURCES) > 100 and not found
