"""Each setting is written once: its field says all that the command line, config.json and the report need."""

import ast
import inspect
import json
import re
from pathlib import Path

import pytest
import typer

import keras_segnet
from keras_segnet.cli.main import app, as_options
from keras_segnet.errors import InputError
from keras_segnet.training.configuration import SETTINGS, RunConfig, as_text, describe_settings

PACKAGE = Path(keras_segnet.__file__).parent


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_help_that_reads_as_a_sentence(name: str) -> None:
    help = SETTINGS[name].metadata["help"]
    assert help[0].isupper() and help.endswith("."), help
    assert name == "data" or f" {name}: {help}" in describe_settings()


def test_every_setting_is_an_option_with_its_help_and_default_and_a_keyword_in_python() -> None:
    command = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    options = {option.name: option for option in command.params}
    keywords = inspect.signature(keras_segnet.train).parameters
    for name, each in SETTINGS.items():
        assert options[name].help == f"{each.metadata['help']}  [default: {as_text(each.metadata['shown'])}]"
        assert "--" + name.replace("_", "-") in options[name].opts
        assert keywords[name].default == each.default
    assert set(keywords) <= {*options, "display"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": 3}, r"`settings` must be data, .* or \w+, not 'epoch'; did you mean epochs?"),
        ({"epochs": 0}, "`epochs` must be at least 1, not 0"),
        ({"epochs": True}, "`epochs` must be int, not True"),
        ({"epochs": "many"}, "`epochs` must be int, not 'many'"),
        ({"seed": -1}, "`seed` must be at least 0, not -1"),
        ({"input_size": (0, 3)}, "`input_size` must be a height and a width"),
        ({"input_size": (3, 3, 3)}, r"`input_size` must be tuple\[int, int\]"),
        ({"width": 0}, "`width` must be above 0, not 0"),
        ({"width": float("nan")}, "`width` must be float, not nan"),
        ({"scale": (2.0, 1.0)}, "`scale` must be two positive numbers"),
        ({"scale": (1.0, 1e6)}, "`scale` must be two positive numbers up to 16, the smaller first"),
        ({"learning_rate": 0}, "`learning_rate` must be above 0, not 0"),
        ({"width": 33}, "`width` must be at most 32, not 33"),
        ({"optimizer": "adam"}, "`optimizer` must be muon, adamw or sgd, not 'adam'; did you mean adamw?"),
        ({"ema_momentum": 1.0}, "`ema_momentum` must be at least 0 and below 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RunConfig.of(**{"data": "streets", **given})


NUMBERS = [name for name, each in SETTINGS.items() if str(each.type).split(" | ")[0] in ("int", "float")]


@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_that_cannot_be_is_a_setting(name: str) -> None:
    whole = str(SETTINGS[name].type) == "int"
    for value in (-1, float("nan"), float("inf"), -float("inf"), -(10**400), 10**400, *([10**30] if whole else [])):
        with pytest.raises(InputError, match=f"`{name}` must be"):
            RunConfig.of(data="streets", **{name: value})
    value = SETTINGS[name].default
    assert value is None or getattr(RunConfig.of(data="streets", **{name: value}), name) == value


def test_given_settings_come_before_the_recipe_and_this_before_the_defaults() -> None:
    assert RunConfig.of(recipe="paper", epochs=100).epochs == 100 != RunConfig.of(recipe="paper").epochs
    assert RunConfig.of(recipe="paper").schedule == "constant" != RunConfig.of().schedule


def test_errors_name_arguments_and_the_command_line_makes_options_of_them() -> None:
    assert as_options("`input_size` is 3; see `model.fit`, `a`.") == "--input-size is 3; see `model.fit`, --a."


NOT_OURS = {"trtexec --fp16"}


def test_the_ends_of_what_is_allowed_are_allowed() -> None:
    RunConfig(epochs=1, batch_size=1, seed=0, input_size=(1, 1), scale=(0.5, 0.5), ema_momentum=0.0)


def test_the_library_names_no_options() -> None:
    found = []
    for path in PACKAGE.rglob("*.py"):
        if "cli" in path.relative_to(PACKAGE).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = re.sub("|".join(NOT_OURS), "", node.value)
                found += [(path.name, node.lineno, option) for option in re.findall(r"(?<![\w-])--[a-z]\S*", text)]
    assert not found


def test_an_unknown_setting_in_config_json_is_refused(tmp_path: Path) -> None:
    from keras_segnet.training.run import Run

    (tmp_path / "config.json").write_text(json.dumps({"data": "streets", "colour": "red"}))
    with pytest.raises(InputError, match=r"config\.json of a run: colour is no setting"):
        Run(tmp_path).config()
