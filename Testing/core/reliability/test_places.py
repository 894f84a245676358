"""What once broke a command and was no content of a file: links, pipes, names, and folders that go."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2] / "reliability"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="trials are forked")


@pytest.fixture
def run(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """``run(needs, change, command)``: the files of the world, changed, and how the command ended on them."""
    monkeypatch.syspath_prepend(str(HERE))
    import trials

    trials.preload()

    def start(
        needs: str, change: Callable[[Path], object], command: str, prepare: Callable[[], None] | None = None
    ) -> tuple[int, str]:
        folder = tmp_path / "here"
        folder.mkdir()
        for name in needs.split():
            (shutil.copytree if (good / name).is_dir() else shutil.copy2)(good / name, folder / name)
        change(folder)
        ending = trials.run_forked(command.split(), folder, prepare=prepare, log=tmp_path / "log")
        assert not ending.timed_out
        return ending.code, ending.text.strip().splitlines()[-1]

    return start


def loop(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(name)

    return change


@pytest.mark.parametrize("name", ["cube.hdr", "pages.tiff", "scan0.nii.gz"])
def test_a_link_to_itself_is_said(run: Callable[..., tuple[int, str]], name: str) -> None:
    code, said = run(f"model {name} cube.img", loop(name), f"predict model {name} --out results --device cpu")
    assert code == 2
    assert name in said


@pytest.mark.slow
def test_a_pipe_in_the_place_of_a_prepared_array_is_replaced(run: Callable[..., tuple[int, str]]) -> None:
    def change(folder: Path) -> None:
        for array in (folder / "run" / "cache").glob("*/image.npy"):
            array.unlink()
            os.mkfifo(array)

    command = (
        "train DATA.json --recipe ce-dice --out run --resume --device cpu --set steps=2 --set batch_size=1"
        " --set plan.patch_size=[16,16,16] --set plan.spacing=[1.5,1.5,1.5]"
        " --set plan.network.options.filters=[4,8,16] --set validation.every=2"
    )
    needs = "DATA.json scan0.nii.gz labels0.nii.gz scan1.nii.gz labels1.nii.gz tree.json run"
    code, said = run(needs, change, command)
    assert code in (0, 2), said


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("case.npz", "import-soft case.npz --out imported.soft.npz"),
        ("result.soft.npz", "collapse result.soft.npz --cut 1 --out labels.nii.gz"),
        ("scan.nii.gz", "predict model scan.nii.gz --out results"),
        ("bands.npz", "data false-colour bands.npz --out colours.png --bands 0,1,2"),
        ("pairs.csv", "evaluate --pairs pairs.csv --tree tree.json --out evaluation"),
    ],
)
def test_a_pipe_is_not_waited_for(run: Callable[..., tuple[int, str]], name: str, command: str) -> None:
    code, said = run("model tree.json", lambda folder: os.mkfifo(folder / name), command)
    assert (code, said) == (2, f"softseg: {name}: not a regular file, but a device, a pipe or a socket")


def test_the_mask_whose_values_are_no_probabilities_is_named(run: Callable[..., tuple[int, str]]) -> None:
    command = "data fuse soft_core.nii.gz labels0.nii.gz --out fused.nii.gz"
    code, said = run("soft_core.nii.gz labels0.nii.gz", lambda _folder: None, command)
    assert (code, said.startswith("softseg: labels0.nii.gz: expected probabilities in 0..1, got 0 to 2")) == (2, True)


@pytest.mark.slow
def test_a_name_of_5000_letters_in_a_header_names_the_header(run: Callable[..., tuple[int, str]]) -> None:
    def change(folder: Path) -> None:
        header = folder / "apart.mhd"
        lines = [line for line in header.read_text().splitlines() if not line.startswith("ElementDataFile")]
        header.write_text("\n".join([*lines, f"ElementDataFile = {'9' * 5000}"]) + "\n")

    code, said = run("model apart.mhd apart.zraw", change, "predict model apart.mhd --out results --device cpu")
    assert code == 2
    assert said.startswith("softseg: apart.mhd: ")


def test_a_score_whose_account_lacks_a_part_is_still_shown(run: Callable[..., tuple[int, str]]) -> None:
    def change(folder: Path) -> None:
        file = folder / "complete" / "outliers.json"
        file.write_text(file.read_text().replace('"features"', '"pictures"'))

    code, said = run("complete", change, "outliers show complete")
    assert code == 0, said


def test_what_the_system_says_without_a_file_is_plain() -> None:
    from softseg.failures import as_plain_error

    full = shutil.Error([("a", "model/b", "[Errno 28] No space left on device: 'model/b'")])
    loop = RuntimeError("Symlink loop from '/data/cube.hdr'")
    for error, code, part in (
        (FileNotFoundError(2, "No such file or directory"), 2, "the folder that this works in is gone"),
        (full, 2, "model/b: the disk is full"),
        (loop, 2, "/data/cube.hdr: is a link that leads back to itself"),
        (BlockingIOError(11, "Resource temporarily unavailable"), 3, "out of memory"),
    ):
        plain = as_plain_error(error)
        assert plain is not None
        assert (plain.exit_code, part in str(plain)) == (code, True), str(plain)


@pytest.mark.slow
def test_a_full_disk_while_weights_are_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import resource, sys, torch; from pathlib import Path; from softseg.network.weights import write_weights\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try: write_weights({'a': torch.zeros(100000)}, Path(sys.argv[1]))\n"
        "except OSError as error: print(error.errno, error.filename)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "w.pt")], capture_output=True, check=False)
    assert ended.stdout.split() == [b"27", str(tmp_path / "w.pt").encode()], ended.stderr[-500:]
