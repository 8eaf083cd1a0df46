"""Exported .onnx files: what TensorRT takes, the model's answers, and the gate."""

import ast
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from batch_statistics import settle
from keras import layers

import keras_segnet
from keras_segnet import build_segnet, build_segnet_basic
from keras_segnet.errors import InputError
from keras_segnet.exporting import ParityError, to_onnx
from keras_segnet.exporting import onnx as exporting_onnx
from keras_segnet.inference import load_segmenter
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.losses import WeightedCrossentropy

EXTRA = ("onnx", "onnxruntime", "tf2onnx")
EVEN, ODD = (32, 48), (29, 37)
GENERATOR = np.random.default_rng(0)

# What both TensorRT 8.6 and 10.1 take, of the types that can occur here: docs/operators.md of onnx/onnx-tensorrt at
# release/8.6-GA ("supports operators up to Opset 17") and at release/10.1-GA (opset 9 to 20).
TENSORRT = {
    op: set(types.split())
    for types, ops in {
        "float32": "Conv Floor MaxPool Pow ReduceSum Relu Softmax",
        "float32 int32": "Add Sub Mul Div Neg Max Min Greater Less Equal ArgMax DepthToSpace SpaceToDepth Pad",
        "float32 int32 bool": "Cast Concat Reshape Slice Split Transpose Where",
        "bool": "And Or Not",
    }.items()
    for op in ops.split()
}
# It reads these as it builds its engine, from constants of int64, which the tables allow for by a note.
SIZES = {"Pad": {1}, "Reshape": {1}, "ReduceSum": {1}, "Slice": {1, 2, 3, 4}, "Split": {1}}


@pytest.fixture(scope="module")
def networks():
    """Networks for images of any size, none of whose weights are where they start, least the batch statistics."""
    keras.utils.set_random_seed(0)
    found = {}
    for build in (build_segnet, build_segnet_basic):
        model = found[build.__name__] = settle(build(11, (None, None, 3), width=0.0625))
        for layer in model.layers:
            if isinstance(layer, layers.Conv2D):
                layer.bias.assign(GENERATOR.normal(0, 0.1, layer.bias.shape))
    model.compile("adam", WeightedCrossentropy(11), run_eagerly=True)
    images, labels = pictures(4), GENERATOR.integers(0, 11, (4, *ODD), np.uint8)
    model.fit(images, labels, batch_size=2, epochs=2, verbose=0)
    return found


def pictures(count, size=ODD):
    return GENERATOR.integers(0, 256, (count, *size, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "size", "head", "dynamic"),
    [
        ("build_segnet_basic", ODD, "probabilities", False),
        ("build_segnet_basic", ODD, "logits", True),
        ("build_segnet_basic", ODD, "class_map", True),
        ("build_segnet_basic", EVEN, "probabilities", True),
        ("build_segnet_basic", EVEN, "logits", False),
        ("build_segnet_basic", EVEN, "class_map", False),
        ("build_segnet", ODD, "probabilities", True),
        ("build_segnet", EVEN, "class_map", False),
    ],
)
def test_a_file_is_one_for_tensorrt_and_gives_the_models_answers(networks, name, size, head, dynamic, tmp_path) -> None:
    model, path, images = networks[name], tmp_path / "model.onnx", pictures(3, size)
    report = to_onnx(model, path, head=head, input_size=size, dynamic_batch=dynamic, images=images)
    assert report.label_agreement >= 0.999 and report.size == path.stat().st_size
    refuse_what_tensorrt_does_not_take(path)
    if name == "build_segnet":
        # Three convolutions gather the members of a pooling's windows, two ReLUs take a code apart for its unpooling.
        assert report.ops["Conv"] == 26 + 5 * 3 and report.ops["Relu"] == 25 + 5 * 2
        assert report.ops["MaxPool"] == report.ops["DepthToSpace"] == 5
        # Channels go first at the image, and last at what has channels; batch normalisation is folded away.
        assert report.ops["Transpose"] == 1 + (head != "class_map")
        assert numbers_for_channels(path) == ["Mul", "Sub"]  # Of the colours.

    file = onnx.load(path)
    onnx.checker.check_model(file, full_check=True)
    assert [(opset.domain, opset.version) for opset in file.opset_import] == [("", 17)] and file.ir_version <= 8
    batch = "batch" if dynamic else 1
    assert signature(file.graph.input) == [("image", "float32", [batch, *size, 3])]
    given = ("class_map", "int32", [batch, *size]) if head == "class_map" else (head, "float32", [batch, *size, 11])
    assert signature(file.graph.output) == [given]

    expected = model.predict(images, verbose=0)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    batches = [images] if dynamic else [image[None] for image in images]
    found = np.concatenate([session.run(None, {"image": part.astype(np.float32)})[0] for part in batches])
    if head == "class_map":
        second, first = np.sort(expected, axis=-1)[..., -2:].transpose(3, 0, 1, 2)
        clear = first - second > 1e-4
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(found[clear], expected.argmax(axis=-1)[clear])
    else:
        if head == "logits":
            powers = np.exp(found.astype(np.float64))
            found = powers / powers.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(found, expected, atol=1e-4)

    segmenter = load_segmenter(path)
    assert (segmenter.head, segmenter.precision, segmenter.num_classes) == (head, "float32", 11)
    assert segmenter.input_size == size
    assert (segmenter.run(images).argmax(axis=-1) == expected.argmax(axis=-1)).mean() >= 0.999


def numbers_for_channels(path):
    """The sums and products of a file that have a number for each channel."""
    graph = onnx.load(path).graph
    vectors = {constant.name for constant in graph.initializer if np.prod(constant.dims) > 1}
    return sorted(n.op_type for n in graph.node if n.op_type in ("Add", "Sub", "Mul") and vectors & {*n.input})


def signature(values):
    return [
        (
            value.name,
            onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
            [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim],
        )
        for value in values
    ]


def refuse_what_tensorrt_does_not_take(path: Path) -> None:
    graph = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True).graph
    types = {name: dtype for name, dtype, _ in signature([*graph.value_info, *graph.input, *graph.output])}
    constants = {constant.name: onnx.numpy_helper.to_array(constant) for constant in graph.initializer}
    types |= {name: value.dtype.name for name, value in constants.items()}
    for node in graph.node:
        assert node.op_type in TENSORRT and not node.domain, node
        for place, name in enumerate(node.input):
            if name in constants and place in SIZES.get(node.op_type, ()):
                continue
            # The index of a maximum is of int64 by the standard.
            if node.op_type == "Cast" and name.endswith("/ArgMax"):
                continue
            assert types[name] in TENSORRT[node.op_type], (node.name, name, types[name])


def test_a_file_holds_the_weights_under_readable_names_and_little_besides(networks, tmp_path) -> None:
    model = networks["build_segnet_basic"]
    to_onnx(model, tmp_path / "model.onnx", input_size=ODD, images=pictures(1))
    graph = onnx.load(tmp_path / "model.onnx").graph
    weights = 4 * sum(layer.count_params() for layer in model.layers if isinstance(layer, layers.Conv2D))
    assert sum(onnx.numpy_helper.to_array(constant).nbytes for constant in graph.initializer) < weights + 1000
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert {"norm/Pow", "conv1/Conv", "conv_decode4/Conv", "pool4/Floor", "upsample1/DepthToSpace"} <= set(names)
    constants = {constant.name for constant in graph.initializer}
    assert {"conv1/Conv/weight", "conv1/Conv/bias", "conv_classifier/Conv/bias", "number/1.0"} <= constants


def test_ops_that_know_no_other_order_get_what_they_expect(tmp_path) -> None:
    """Windows that are no squares go through five axes; a concatenation, a sum and a mean lie beside them."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*ODD, 3), name="image")
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    pooled, indices = MaxPoolingWithArgmax2D((2, 3))(x)
    y = layers.Conv2D(6, 3, padding="same", dilation_rate=2)(pooled)
    y = layers.Multiply()([y, layers.GlobalAveragePooling2D(keepdims=True)(pooled)])
    y = MaxUnpooling2D((2, 3))(y, indices, like=x)
    y = layers.UpSampling2D(2, interpolation="bilinear")(layers.Concatenate()([y, x]))
    y = layers.Add()([y, layers.Conv2DTranspose(12, 4, strides=2, padding="same")(x)])
    y = layers.MaxPooling2D(2)(layers.BatchNormalization()(y))
    model = settle(keras.Model(image, layers.Softmax()(layers.Conv2D(4, 1)(y))))
    images = pictures(2)
    report = to_onnx(model, tmp_path / "model.onnx", dynamic_batch=True, images=images)
    assert report.label_agreement >= 0.999
    found = load_segmenter(tmp_path / "model.onnx").run(images)
    np.testing.assert_allclose(found, model.predict(images, verbose=0), atol=1e-4)


def test_a_model_of_any_size_needs_one(networks, tmp_path) -> None:
    with pytest.raises(InputError, match=r"an \.onnx file needs one: give `input_size`"):
        to_onnx(networks["build_segnet_basic"], tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_the_gate_refuses_a_faulty_graph_and_leaves_no_file(networks, tmp_path, monkeypatch) -> None:
    honest = exporting_onnx._convert

    def faulty(*arguments):
        converted = honest(*arguments)
        for node in converted.graph.node:
            if node.op_type == "Concat":  # The first place of each window becomes the second.
                node.input[0], node.input[1] = node.input[1], node.input[0]
        return converted

    monkeypatch.setattr(exporting_onnx, "_convert", faulty)
    with pytest.raises(ParityError, match="was not written"):
        to_onnx(networks["build_segnet_basic"], tmp_path / "model.onnx", input_size=ODD, images=pictures(2))
    assert not list(tmp_path.iterdir())


def test_what_is_there_already_is_left_alone_and_a_bad_head_refused(networks, tmp_path) -> None:
    model = networks["build_segnet_basic"]
    (tmp_path / "model.onnx").write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        to_onnx(model, tmp_path / "model.onnx", input_size=ODD)
    with pytest.raises(InputError, match="`head` must be"):
        to_onnx(model, tmp_path / "other.onnx", input_size=ODD, head="labels")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("package", EXTRA)
def test_without_the_extra_one_line_says_how_to_get_it(networks, package, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"{package}.*pip install keras-segnet\[onnx\]"):
        to_onnx(networks["build_segnet_basic"], tmp_path / "model.onnx", input_size=ODD)
    assert not list(tmp_path.iterdir())


def test_nothing_imports_the_extra_before_it_is_needed() -> None:
    for path in Path(keras_segnet.__file__).parent.rglob("*.py"):
        for statement in ast.parse(path.read_text()).body:
            module = getattr(statement, "module", None) or ""
            names = [alias.name for alias in getattr(statement, "names", [])] + [module]
            assert not {name.split(".")[0] for name in names}.intersection(EXTRA), path


def test_files_that_are_no_networks_of_ours_are_refused(tmp_path) -> None:
    text, other = tmp_path / "text.onnx", tmp_path / "other.onnx"
    text.write_text("hello")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])],
        "channels first",
        [value("x", onnx.TensorProto.FLOAT, (1, 3, 8, 8))],
        [value("y", onnx.TensorProto.FLOAT, (1, 3, 8, 8))],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), other)
    for path in (text, other):
        with pytest.raises(InputError, match=rf"{path.name} cannot be read as an \.onnx file"):
            load_segmenter(path)
    with pytest.raises(InputError, match=r"1, 3, 8, 8.*height, width, 3"):
        load_segmenter(other)
