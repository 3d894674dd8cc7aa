"""Options: defaults, then the file, then --set; an unknown key is refused with the nearest name."""

import json
from dataclasses import dataclass, field

import pytest

from geoloc.errors import InputError, UnknownNameError
from geoloc.options import check_range, load_options, merge_options, options_to_dict


@dataclass(frozen=True)
class Gate:
    sigma: float = 3.0
    use_class: bool = True
    labels: tuple[str, ...] = ("car",)

    def __post_init__(self) -> None:
        check_range(self, sigma=(0, 10))


@dataclass(frozen=True)
class All:
    window_s: float = 0.1
    n: int = 4
    name: str = "x"
    gate: Gate = field(default_factory=Gate)


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "options.toml"
    path.write_text('window_s = 1\nname = "file"\n[gate]\nsigma = 4.5\nlabels = ["car", "bus"]\n')
    return path


def test_defaults_then_file_then_set(toml):
    assert load_options(All()) == All()
    from_file = load_options(All(), toml)
    assert (from_file.window_s, from_file.name, from_file.gate) == (1.0, "file", Gate(4.5, True, ("car", "bus")))
    changed = load_options(All(), toml, ["gate.sigma=2", "name=set", "gate.sigma = 5", "gate.use_class=false"])
    # the last --set wins; what it does not name keeps the file's value
    assert (changed.gate.sigma, changed.gate.use_class, changed.gate.labels) == (5.0, False, ("car", "bus"))
    assert (changed.name, changed.window_s, changed.n) == ("set", 1.0, 4)


def test_an_unknown_key_is_refused_with_its_nearest_name_and_path(toml):
    with pytest.raises(UnknownNameError, match=r"unknown option 'gate\.sigmas'; did you mean 'gate\.sigma'"):
        merge_options(All(), {"gate": {"sigmas": 1.0}})
    with pytest.raises(UnknownNameError, match="unknown option 'window'; did you mean 'window_s'"):
        load_options(All(), sets=["window=1"])
    toml.write_text("[gates]\nsigma = 1\n")
    with pytest.raises(UnknownNameError, match="'gates'; did you mean 'gate'"):
        load_options(All(), toml)
    with pytest.raises(UnknownNameError, match="known: gate, n, name, window_s"):
        load_options(All(), sets=["zzzzzz=1"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("gate.sigma=wide", "option gate.sigma is 'wide'; it takes a float such as 3.0"),
        ("gate.sigma=true", "option gate.sigma is True; it takes a float"),
        ("gate.use_class=1", "option gate.use_class is 1; it takes a bool such as True"),
        ("n=2.5", "option n is 2.5; it takes a int such as 4"),
        ("name=3", "option name is 3; it takes a str"),
        ("gate.labels=car", r"option gate.labels is 'car'; it takes a tuple such as \('car',\)"),
        ("gate=3", "option gate is a group of options; set one of its keys"),
        ("gate.sigma", "write it as stage.key=value"),
        ("gate.sigma=11", r"Gate.sigma is 11.0; it must lie in \[0, 10\]"),
        ("gate.sigma=nan", r"Gate.sigma is nan; it must lie in \[0, 10\]"),
    ],
)
def test_values_that_do_not_fit_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        load_options(All(), sets=[change])


def test_a_broken_options_file_is_named(toml, tmp_path):
    toml.write_text("window_s = = 1")
    with pytest.raises(InputError, match=r"options\.toml: not TOML"):
        load_options(All(), toml)
    with pytest.raises(InputError, match=r"nothing\.toml"):
        load_options(All(), tmp_path / "nothing.toml")


def test_given_options_are_not_changed_and_written_ones_come_back():
    before = All()
    after = merge_options(before, {"gate": {"sigma": 1}})
    assert before == All()
    assert merge_options(All(), json.loads(json.dumps(options_to_dict(after)))) == after


def test_the_options_of_every_stage_can_be_written_and_read():
    from geoloc.pipeline.localizer import LocalizerOptions

    options = LocalizerOptions()
    assert merge_options(LocalizerOptions(), json.loads(json.dumps(options_to_dict(options)))) == options
