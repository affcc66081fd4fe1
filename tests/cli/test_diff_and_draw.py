"""The commands diff and draw."""

import hashlib
import json
from pathlib import Path
import re
import struct
from xml.etree import ElementTree

import pytest

CHECKOUT = Path(__file__).parents[2]


def words(svg):
    """Return the words in a picture: matplotlib writes them as comments next to the outlines of the letters."""
    return re.findall(r"<!-- (.*?) -->", svg)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_diff_shows_only_the_kernels_that_are_misprinted_in_the_blog(command):
    shown = command("diff", "googlenet", "googlenet_tutorial").stdout
    rows = [line.split() for line in shown.splitlines() if re.match(r" +b\d\.", line)]
    assert len(rows) == 18
    assert {row[0].split(".")[-1] for row in rows} == {"p2_conv_3", "p3_conv_5"}
    assert "Conv2D 128 @1x1 relu   Conv2D 128 @3x3 pad 1 relu   128x27x27" in shown
    assert "2,829,754 -> 6,059,450" in shown
    assert "1x96x96" in shown
    assert "only googlenet has this difference from the paper: the 3x3 and 5x5 convolutions" in shown
    assert "no ReLU after the two convolutions" not in shown


def test_diff_reports_equal_networks(command):
    assert command("diff", "vgg", "vgg").stdout == "vgg and vgg are equal at 1x224x224 input\n"
    shown = command("diff", "resnet", "resnet18_tutorial").stdout
    assert "resnet and resnet18_tutorial are equal in every layer at 1x224x224 input\n" in shown
    assert "1x96x96" in shown


def test_diff_shows_repeated_blocks_of_one_network_in_one_row(command):
    shown = command("diff", "densenet169", "densenet201").stdout
    assert "16 times: " in shown
    assert "133 equal layers of different sizes" in shown
    assert "3,755,520" in shown


def test_diff_json_contains_the_settings_of_each_layer(command):
    found = json.loads(command("diff", "resnet18_d2l", "resnet18_v1", "--input", "3x64x64", "--json").stdout)
    assert found["input_shape"] == [3, 64, 64]
    assert [network["name"] for network in found["networks"]] == ["resnet18_d2l", "resnet18_v1"]
    assert found["networks"][1]["params"] == 11_689_512
    assert found["totals"][1]["params"] == 11_689_512
    assert not found["equal_layers"]
    stem = found["changes"][0]
    assert stem["settings"] == ["Convolution no_bias"]
    assert stem["second"]["settings"]["Convolution no_bias"] == "True"
    assert stem["second"]["output_shape"] == [64, 32, 32]
    assert [change["second"]["text"] for change in found["changes"] if change["first"] is None] == ["BatchNorm"] * 3


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["diff", "vgg", "vg11"], 2, "did you mean 'vgg11'?"),
        (["diff", "vgg"], 2, "Missing argument"),
        (["diff", "lenet", "alexnet", "--input", "1x28x28"], 1, "the smallest it takes is 67x67"),
        (["draw", "lenet"], 2, "Missing option '-o'"),
        (["draw", "lenet", "-o", "lenet.pdf"], 1, "cannot draw 'lenet.pdf': use a name that ends in .svg or .png"),
        (["draw", "lenet", "-o", "lenet"], 1, "ends in .svg or .png"),
        (
            ["draw", "lenet", "-o", "nowhere/lenet.svg"],
            1,
            "cannot write nowhere/lenet.svg (No such file or directory): choose another",
        ),
        (["draw", "alexnet", "-o", "a.svg", "--input", "1x28x28"], 1, "the smallest it takes is 67x67"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_error_is_one_line_and_no_file_is_written(command, tmp_path, arguments, status, message):
    result = command(*arguments)
    assert result.returncode == status
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert status == 2 or len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_draw_does_not_replace_a_folder_and_leaves_no_temporary_file(command, tmp_path):
    (tmp_path / "lenet.svg").mkdir()
    result = command("draw", "lenet", "-o", "lenet.svg")
    assert result.returncode == 1
    assert result.stderr == "Error: cannot write lenet.svg (Is a directory): choose another file with -o\n"
    assert [path.name for path in tmp_path.iterdir()] == ["lenet.svg"]


def test_without_matplotlib_draw_names_the_extra_to_install(command, environment, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "matplotlib.py").write_text("raise ImportError('no matplotlib here')\n")
    result = command("draw", "lenet", "-o", "a.svg", env={**environment, "PYTHONPATH": str(tmp_path / "lib")})
    assert result.returncode == 1
    assert result.stderr == (
        "Error: pictures need matplotlib (no matplotlib here): pip install 'gluon-classics[plot]'\n"
    )
    assert not (tmp_path / "a.svg").exists()


def test_draw_shows_layers_with_their_output_shapes(command, tmp_path):
    pytest.importorskip("matplotlib", reason="pip install 'gluon-classics[plot]'")
    assert command("draw", "lenet", "-o", "lenet.svg", "--input", "1x32x32").returncode == 0
    svg = (tmp_path / "lenet.svg").read_text()
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert words(svg)[:4] == ["lenet", "1 × 32 × 32 input, 241,388 parameters, 1,919,680 MAC", "input", "1 × 32 × 32"]  # noqa: RUF001
    assert words(svg)[4:12] == [
        *("conv 5×5, ReLU", "20 × 28 × 28", "max pool 2×2 /2", "20 × 14 × 14"),  # noqa: RUF001
        *("conv 3×3, ReLU", "50 × 12 × 12", "max pool 2×2 /2", "50 × 6 × 6"),  # noqa: RUF001
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["lenet.svg"]


@pytest.mark.parametrize("ending", ["svg", "png", "PNG"])
def test_drawing_twice_gives_identical_files(command, tmp_path, ending):
    pytest.importorskip("matplotlib", reason="pip install 'gluon-classics[plot]'")
    for name in ("one", "two"):
        assert command("draw", "resnet", "-o", f"{name}.{ending}").returncode == 0
    one, two = (tmp_path / f"{name}.{ending}" for name in ("one", "two"))
    assert digest(one) == digest(two)


def test_a_png_has_200_dots_per_inch(command, tmp_path):
    pytest.importorskip("matplotlib", reason="pip install 'gluon-classics[plot]'")
    command("draw", "lenet", "-o", "lenet.png")
    command("draw", "lenet", "-o", "lenet.svg")
    width, height = struct.unpack(">II", (tmp_path / "lenet.png").read_bytes()[16:24])
    root = ElementTree.parse(tmp_path / "lenet.svg").getroot()
    points = [float(root.get(side).rstrip("pt")) for side in ("width", "height")]
    assert [width, height] == [pytest.approx(length / 72 * 200, abs=1) for length in points]


def test_the_picture_in_the_documentation_is_up_to_date(command, tmp_path):
    pytest.importorskip("matplotlib", reason="pip install 'gluon-classics[plot]'")
    command("draw", "googlenet_v1", "-o", "googlenet_v1.svg")
    kept = (CHECKOUT / "docs" / "googlenet_v1.svg").read_text()
    assert len(words(kept)) > 60
    assert words(kept) == words((tmp_path / "googlenet_v1.svg").read_text()), (
        "run gluon-classics draw googlenet_v1 -o docs/googlenet_v1.svg"
    )
