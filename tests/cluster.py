"""The example of docs/scale.md on a Ray cluster: as edge-classify classifies, and on both nodes.

    make test-cluster

Ray gets an environment of its own in the cache folder, which is made once. Some of the images are
real where EDGE_TEST_DATA has any; one is damaged.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
TEST_DATA = Path(os.environ.get("EDGE_TEST_DATA", ROOT.parent / "shared"))
NODES, CORES, IMAGES = 2, 2, 200


def main() -> int:
    """Run with Ray's own Python, where this one has none."""
    if importlib.util.find_spec("ray"):
        return run()
    return subprocess.run(
        [python_with_ray(), __file__], env=os.environ | {"PYTHONPATH": str(ROOT)}
    ).returncode


def python_with_ray() -> Path:
    """Install Ray, and what edge needs, once."""
    from edge.files import cache_folder

    home = cache_folder() / "ray"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        install = [python, *"-m pip install --quiet --only-binary :all: ray[data]".split()]
        subprocess.run([*install, f"{ROOT}[parquet]"], check=True)
        (home / "ready").touch()
    return python


def run() -> int:
    """Compare, and print what was found."""
    os.environ.setdefault("RAY_agent_register_timeout_ms", "120000")  # on a busy machine
    import ray
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as folder:
        images, example = Path(folder) / "images", load_example(Path(folder))
        make_images(images)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": CORES})
        for _ in range(NODES - 1):
            cluster.add_node(num_cpus=CORES)
        try:
            ray.init(address=cluster.address, logging_level="warning")
            example.Classifier = on_its_node(example.Classifier)
            rows = example.classified(str(images)).take_all()
        finally:
            ray.shutdown()
            cluster.shutdown()
        expected = by_edge_classify(images)
    found = {row["source"]: (row["label"], row["score"]) for row in rows}
    nodes = {row["node"] for row in rows}
    same = sum(nearly(found.get(source), of) for source, of in expected.items())
    print(f"{len(rows)} results, {same} of {len(expected)} as edge-classify's, {len(nodes)} nodes")
    return 0 if len(rows) == same == len(expected) == IMAGES and len(nodes) == NODES else 1


def load_example(folder: Path) -> ModuleType:
    """Import the page's example as it is printed; the actors import it by its name, too."""
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(import time\n.*?)^```$", page, re.M | re.S)
    path = folder / "ray_example.py"
    path.write_text(code, encoding="utf-8")
    os.environ["PYTHONPATH"] = f"{ROOT}:{folder}"
    sys.path.insert(0, str(folder))
    return importlib.import_module("ray_example")


def on_its_node(actor: type) -> type:
    """Let an actor name its node in what it returns."""

    class Named(actor):  # type: ignore[misc]
        def __call__(self, row: dict) -> dict:
            import ray

            return super().__call__(row) | {"node": ray.get_runtime_context().get_node_id()}

    return Named


def make_images(folder: Path) -> None:
    """Copy images, the same ones again where there are few, and damage the last."""
    folder.mkdir()
    real = sorted((TEST_DATA / "hotdog" / "val").glob("*/*.jpg"))[::3]
    sources = real or sorted((ROOT / "tests" / "data").glob("*.jpg"))
    for number in range(IMAGES):
        content = sources[number % len(sources)].read_bytes()
        path = folder / f"{number:04}.jpg"
        path.write_bytes(content if number < IMAGES - 1 else content[:200])


def by_edge_classify(folder: Path) -> dict[str, tuple[str | None, float | None]]:
    """Label and score of each image by the command, with as many threads as an actor has."""
    words = [sys.executable, "-m", "edge", "classify", "--format", "jsonl", "--threads", "1"]
    done = subprocess.run(
        [*words, str(folder)], stdout=subprocess.PIPE, text=True
    )  # 1: the damaged one
    records = map(json.loads, done.stdout.splitlines())
    return {of["source"]: (of.get("label"), of.get("score")) for of in records}


def nearly(one: tuple | None, other: tuple) -> bool:
    """Whether label and score are the same; JSON has six digits of a score."""
    if one is None or one[0] != other[0]:
        return False
    return one[1] is other[1] is None or abs(one[1] - other[1]) <= 1e-6


if __name__ == "__main__":
    sys.exit(main())
