"""Arguments by HF's names, and what is said of arguments and attributes that there are not."""

from __future__ import annotations

import inspect
from types import FunctionType, ModuleType

import pytest

import lf_ref
from lf_ref import InputError, testing
from lf_ref.hf_names import Alias, Fixed, Ignored, accepts, accepts_names, unknown_attribute


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


def test_an_argument_without_any_value_says_what_to_do():
    with pytest.raises(InputError, match=r"Paint\(\) takes no size: there is one size"):
        Paint(size=None)


def test_unknown_arguments_name_the_nearest_and_all():
    with pytest.raises(InputError, match="'colr': the nearest is 'color'; all are color, colour, depth, device, size"):
        Paint()(colr="red")
    with pytest.raises(InputError, match=r"Paint\.mix\(\) takes no argument 'others': the nearest is 'other'"):
        Paint.mix(1, others=2)


def test_arguments_without_a_place_are_given_by_name():
    with pytest.raises(InputError, match="a call of Paint takes by place only color, depth: give the other"):
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
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        brush()


def test_unknown_attributes_name_the_nearest_and_are_still_attribute_errors():
    paint = Paint()
    with pytest.raises(InputError, match="Paint has no dry: wait"):
        paint.dry  # noqa: B018
    with pytest.raises(AttributeError, match="Paint has no attribute 'colr': the nearest is 'color'"):
        paint.colr  # noqa: B018
    assert not hasattr(paint, "dry")
    assert not hasattr(paint, "__array__")
