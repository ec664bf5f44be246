"""Arguments by HF's names, and what is said of arguments and attributes that there are not."""

from __future__ import annotations

import abc
import inspect
import os
from pathlib import Path
from types import FunctionType, ModuleType

import numpy as np
import pytest

import lf_ref
from lf_ref import InputError, testing
from lf_ref.hf_names import Alias, Fixed, HFNamed, Ignored, accepts, accepts_names, unknown_attribute, unknown_key


def public_functions():
    """All functions that users call, and all methods of classes that they make or are given."""
    found = {}
    things = [getattr(lf_ref, name) for name in lf_ref.__all__] + [getattr(testing, name) for name in testing.__all__]
    for module in [thing for thing in things if isinstance(thing, ModuleType)]:
        things += [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    for thing in things:
        if isinstance(thing, type) and issubclass(thing, Exception):
            continue
        for owner in thing.__mro__ if isinstance(thing, type) else [thing]:
            members = vars(owner).values() if isinstance(owner, type) else [owner]
            for member in members:
                function = getattr(member, "__func__", member)
                if isinstance(function, FunctionType) and function.__module__.startswith("lf_ref"):
                    found[f"{function.__module__}.{function.__qualname__}"] = function
    public = {
        name: f for name, f in found.items() if not f.__name__.startswith("_") or f.__name__ in ("__call__", "__init__")
    }
    kinds = {name: {p.kind for p in inspect.signature(f).parameters.values()} for name, f in public.items()}
    return {name: f for name, f in public.items() if inspect.Parameter.VAR_KEYWORD not in kinds[name]}


PUBLIC = public_functions()


@pytest.mark.parametrize("name", PUBLIC)
def test_an_unknown_argument_of_any_public_call_is_named(name):
    with pytest.raises(InputError, match="takes no argument 'zzz'"):
        PUBLIC[name](zzz=1)


def test_public_functions_are_found():
    assert len(PUBLIC) > 100
    assert {
        "lf_ref.model.heads.LongformerForMaskedLM.__call__",
        "lf_ref.model.base.LongformerPreTrainedModel.save_pretrained",
        "lf_ref.testing.comparison.divergence.compare",
        "lf_ref.model.global_attention.on_question",
    } <= set(PUBLIC)


TABLE = {
    "colour": Alias("color"),
    "device": Fixed((None, "cpu", -1, False), "run it on the CPU"),
    "size": Fixed((), "there is one size"),
    "speed": Ignored("it is as fast as it can be"),
}


@accepts(call=TABLE, init=TABLE, build=TABLE)
class Paint:
    def __init__(self, color=None):
        self.color = color

    def __call__(self, color, depth=1):
        return color, depth

    @classmethod
    def build(cls, color="red", **options):
        return cls, color, options

    @staticmethod
    def mix(one, other):
        return one + other

    def _private(self, **options):
        return options

    def __getattr__(self, name):
        raise unknown_attribute(self, name, {"dry": "wait"})


def test_an_alias_is_the_argument():
    assert Paint(colour="blue").color == "blue"
    assert Paint()(colour="blue", depth=2) == ("blue", 2)
    assert Paint.build(colour="blue", x=1) == (Paint, "blue", {"x": 1})
    for twice in (lambda: Paint()("red", colour="blue"), lambda: Paint()(color="red", colour="blue")):
        with pytest.raises(InputError, match="colour and color are the same argument"):
            twice()


class Device:
    def __str__(self):
        return "cpu"


@pytest.mark.parametrize("value", [None, "cpu", -1, False, Device()])
def test_values_that_change_nothing_are_dropped(value):
    assert Paint()("red", device=value, speed=[3]) == ("red", 1)
    assert Paint.build(device=value, speed=object()) == (Paint, "red", {})


@pytest.mark.parametrize("value", [0, True, "cuda", 1.0, -1.0, [], "None"])
def test_other_values_say_what_to_do(value):
    with pytest.raises(
        InputError, match=r"a call of Paint takes device=None or 'cpu' or -1 or False only, got .*: run"
    ):
        Paint()("red", device=value)


def test_an_argument_without_any_value_raises_with_the_way_out():
    with pytest.raises(InputError, match=r"Paint\(\) takes no size: there is one size"):
        Paint(size=None)


def test_unknown_arguments_name_the_nearest_and_all():
    with pytest.raises(InputError, match="'colr': the nearest is 'color'; all are color, colour, depth, device, size"):
        Paint()(colr="red")
    with pytest.raises(InputError, match=r"Paint\.mix\(\) takes no argument 'others': the nearest is 'other'"):
        Paint.mix(1, others=2)


def test_keyword_only_arguments_are_given_by_name():
    with pytest.raises(InputError, match="a call of Paint takes by position only color, depth: give the other"):
        Paint()("red", 1, 2)


def test_open_functions_and_private_ones_are_left_alone():
    assert Paint.build(x=1)[2] == {"x": 1}
    assert Paint()._private(x=1) == {"x": 1}
    assert Paint.mix(1, other=2) == 3


def test_a_function_keeps_its_name_and_signature():
    @accepts_names(TABLE)
    def brush(color: int, *, width: int = 3) -> int:
        """Paint."""
        return color * width

    assert (brush.__name__, brush.__doc__) == ("brush", "Paint.")
    assert list(inspect.signature(brush).parameters) == ["color", "width"]
    assert brush(colour=2) == 6
    with pytest.raises(InputError, match=r"brush\(\): missing a required argument: 'color'"):
        brush()
    with pytest.raises(InputError, match=r"brush\(\): multiple values for argument 'color', got by name color"):
        brush(1, color=2)


class Lacquer(Paint):
    pass


def test_messages_name_the_class_that_is_called():
    with pytest.raises(InputError, match=r"Lacquer\(\) takes no argument"):
        Lacquer(colr="red")
    with pytest.raises(InputError, match="a call of Lacquer takes no argument"):
        Lacquer()(colr="red")
    with pytest.raises(InputError, match=r"Lacquer\.build\(\): colour and color are the same"):
        Lacquer.build(colour="red", color="red")
    with pytest.raises(InputError, match=r"Paint\.mix\(\) takes by position only one, other"):
        Lacquer.mix(1, 2, 3)


def test_errors_inside_of_a_call_stay_what_they_are():
    with pytest.raises(TypeError, match="unsupported operand"):
        Paint.mix(1, "a")


@accepts()
class Shelf(metaclass=HFNamed):
    _hf_hints = {"paint": "give it a colour"}  # noqa: RUF012

    @property
    def width(self):
        return 3

    def store(self, path: str | os.PathLike[str], flat: bool = False, wide: bool | None = None):
        return path, flat, wide


def test_flags_and_paths_are_checked_by_position_and_by_name():
    shelf = Shelf()
    assert shelf.store("a", np.True_, np.array(False)) == ("a", True, False)
    assert shelf.store(Path("a"), wide=None) == (Path("a"), False, None)
    for flag in ("no", 1, 0.0, [True], np.array([True, False]), np.int64(1)):
        with pytest.raises(InputError, match="flat must be True or False"):
            shelf.store("a", flag)
        with pytest.raises(InputError, match="wide must be True or False"):
            shelf.store("a", wide=flag)
    for path in (None, 3, b"a", ["a"]):
        with pytest.raises(InputError, match="path must be a path"):
            shelf.store(path)


def test_attributes_of_the_class_are_refused_as_those_of_its_instances():
    for owner in (Shelf, Shelf()):
        with pytest.raises(AttributeError, match="Shelf has no paint: give it a colour"):
            owner.paint  # noqa: B018
        with pytest.raises(InputError, match="Shelf has no attribute 'stor': the nearest is 'store'"):
            owner.stor  # noqa: B018
        assert not hasattr(owner, "_repr_html_")


@pytest.mark.parametrize("name", ["LongformerForMaskedLM", "LongformerTokenizer", "LongformerConfig", "Pipeline"])
def test_classes_can_have_abstract_bases_too(name):
    kind = getattr(lf_ref, name)
    mine = type("Mine", (kind, abc.ABC), {})
    assert issubclass(mine, kind)
    with pytest.raises(InputError, match=r"Mine.register\(\): there are no auto classes"):
        mine.register("mine", kind)


def test_what_follows_from_the_rest_cannot_be_set():
    shelf = Shelf()
    shelf.height = 2
    assert shelf.height == 2
    with pytest.raises(InputError, match="width of a Shelf cannot be set"):
        shelf.width = 4
    with pytest.raises(AttributeError, match="content of a AddedToken cannot be set"):
        lf_ref.AddedToken("a").content = "b"


def test_an_unknown_entry_is_a_key_error_and_an_index_error():
    error = unknown_key([], 3, ["a", "b"])
    assert {InputError, KeyError, IndexError} <= set(type(error).__mro__)
    assert str(error) == "list has no entry 3; it has 'a', 'b'"


def test_values_of_numpy_are_those_of_python():
    assert all(map(Fixed((False, -1), "").allows, (np.False_, np.int64(-1), np.array(-1))))
    assert not Fixed((False,), "").allows(np.array([False]))


@pytest.mark.parametrize("name", ["Trainer", "AutoModelForCausalLM", "LongformerModle"])
def test_names_that_the_package_has_not(name):
    with pytest.raises(InputError, match=f"lf_ref has no.*{name}"):
        getattr(lf_ref, name)
    assert not any(hasattr(module, name) for module in (lf_ref, testing))


def test_unknown_attributes_name_the_nearest_and_are_still_attribute_errors():
    paint = Paint()
    with pytest.raises(InputError, match="Paint has no dry: wait"):
        paint.dry  # noqa: B018
    with pytest.raises(AttributeError, match="Paint has no attribute 'colr': the nearest is 'color'"):
        paint.colr  # noqa: B018
    assert not hasattr(paint, "dry")
    assert not hasattr(paint, "__array__")
