"""Recipes: the settings of whole training runs, as code. `keras_segnet.train(..., recipe=NAME)` starts from one.

A recipe gives fields of `keras_segnet.training.configuration.RunConfig`; what it leaves out has its default there, and
what is given beside it overrides it.

Where the paper and the released code (the prototxt, solver and script files of SegNet-Tutorial and the layers of
caffe-segnet) differ, the recipe `paper` takes one side and a setting the other:

    setting                 paper                          released code                      `paper` takes
    batch_size              12 (Table 1), 5 and 4 later    4                                  12
    loss_normalization      sum over the pixels            valid_pixels: by their number      valid_pixels
    preprocessing           lcn                            lrn (basic), none (full)           lcn
    balancing               presence (or none)             released: constants                presence
    weight_decay            says nothing                   5e-4 on kernels                    5e-4
    epochs                  to convergence                 steps: 10,000 (basic), 40,000      as many steps
                                                           (full), 60,000 (Bayesian full)

The rate of 0.1 goes with the released loss. A sum over the 2 million pixels of twelve images has gradients 2 million
times as large, with which SGD at 0.1 does not survive its first step; whoever wants the paper's sum divides the rate:
`loss_normalization="sum", learning_rate=5e-8`, and multiplies the decay: `weight_decay=1e3`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_segnet.errors import refuse_unknown

CAMVID_STEPS = 31
"""Steps in an epoch of the paper's: 367 images in batches of 12."""


def paper(model: str | None, weights: str | None = None) -> dict[str, Any]:
    """The set-up of the paper's Table 1 (section 4.1), with what the module says about the released code.

    SGD with momentum 0.9 at a constant rate, in batches of 12 that are dealt anew each epoch and not augmented, from He
    initial weights; median frequency balancing (`balancing="none"` is the table's other half, natural frequency); local
    contrast normalisation; and statistics of batch normalisation from a pass over the training set before each
    evaluation. The epoch with the best validation global accuracy is kept. (The paper evaluates each 1000 steps;
    a run does so each epoch.)

    Args:
        model: registry name of the network. Default: segnet.
        weights: those that the encoder starts from. With any, colours are normalised as these expect.
    """
    model = model or "segnet"
    steps = 10_000 if is_of_table_1(model) else 60_000 if model == "bayesian_segnet" else 40_000
    return {
        "model": model,
        "weights": None,
        "optimizer": "sgd",  # At its own rate: 0.1 for the networks of Table 1, 0.001 for deep ones.
        "schedule": "constant",
        "weight_decay": 5e-4,
        "batch_size": 12,
        "epochs": round(steps / CAMVID_STEPS),
        "augment": False,
        "preprocessing": "lcn" if weights in (None, "none", "auto") else "imagenet",
        "balancing": "presence",
        "balancing_exponent": 1.0,
        "largest_weight": None,
        "monitor": "global_accuracy",
        "loss_normalization": "valid_pixels",
        "recalibrate": True,
    }


def modern(model: str | None, weights: str | None = None) -> dict[str, Any]:
    """Today's recipe: the defaults, with averaged weights instead of the last ones.

    The defaults are Muon with a warm-up and a cosine, augmentation and balanced classes. Averages need statistics of
    batch normalisation of their own. Averaging over each image and its mirror image scores a little better.
    """
    return {"ema_momentum": 0.99, "recalibrate": True}


def is_of_table_1(model: str) -> bool:
    """Whether a network is one of the small ones of the paper's decoder study."""
    return any(part in model for part in ("basic", "bilinear"))


RECIPES: dict[str, Callable[[str | None, str | None], dict[str, Any]]] = {"paper": paper, "modern": modern}
"""Recipes by name; each takes the name of the network and what its encoder starts from, as far as they are given."""


def settings_of(recipe: str | None, model: str | None = None, weights: str | None = None) -> dict[str, Any]:
    """Settings of a recipe for a network and its encoder's starting weights; empty without a recipe.

    Raises:
        InputError: there is no such recipe.
    """
    if recipe is None:
        return {}
    refuse_unknown("recipe", recipe, RECIPES)
    return RECIPES[recipe](model, weights)


__all__ = ["RECIPES", "is_of_table_1", "modern", "paper", "settings_of"]
