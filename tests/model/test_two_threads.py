"""Two modules at the same time give what they give after each other."""

import multiprocessing
import threading

import pytest
import torch
from torch import nn

from asr.model.two_threads import run_in_two_threads


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield 4
    torch.set_num_threads(before)


def called(module, values):
    """What a layer returns, of values in the precision that the layer before it gives under autocast.

    A processor without bfloat16 takes no float32 there.
    """
    return module(values.bfloat16() if torch.is_autocast_enabled("cpu") else values)[0]


def after_each_other(run, modules, values):
    return run(modules[0], values[0]), run(modules[1], values[1])


def results(how, run=called, bf16=False, frozen=(), fixed=False):
    """Outputs and all gradients of two LSTM layers."""
    torch.manual_seed(1)
    modules = nn.LSTM(6, 5), nn.LSTM(6, 5)
    values = [torch.randn(9, 3, 6, requires_grad=not fixed) for _ in modules]
    for number in frozen:
        modules[number].requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        outputs = how(run, modules, values)
    (outputs[0].sin().sum() + (outputs[0] * outputs[1]).sum().float()).backward()
    sources = [*values, *modules[0].parameters(), *modules[1].parameters()]
    return [*outputs, *(source.grad for source in sources)]


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("frozen", [(), (0,), (1,)])
@pytest.mark.parametrize("fixed", [False, True])
def test_outputs_and_gradients_are_those_of_one_after_the_other(bf16, frozen, fixed):
    expected = results(after_each_other, bf16=bf16, frozen=frozen, fixed=fixed)
    found = results(run_in_two_threads, bf16=bf16, frozen=frozen, fixed=fixed)
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            # By one step of bfloat16: a gradient is rounded to it after each partial sum, in whatever order.
            torch.testing.assert_close(one, other, rtol=2**-7 if bf16 else 0, atol=1e-2 if bf16 else 1e-6)


def test_they_run_in_two_threads_with_half_of_the_threads_each(threads):
    seen = {}

    def run(module, values):
        seen[id(module)] = threading.get_ident(), torch.get_num_threads(), torch.is_autocast_enabled("cpu")
        return called(module, values)

    results(run_in_two_threads, run, bf16=True)
    (one, *first), (other, *second) = seen.values()
    assert one != other and first == second == [threads // 2, True]
    assert torch.get_num_threads() == threads


def test_a_single_thread_does_both(threads):
    torch.set_num_threads(1)
    seen = set()

    def run(module, values):
        seen.add(threading.get_ident())
        return module(values)[0]

    results(run_in_two_threads, run)
    assert seen == {threading.get_ident()}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_recognition_keeps_no_graph(mode):
    modules, values = (nn.LSTM(6, 5), nn.LSTM(6, 5)), (torch.randn(9, 3, 6), torch.randn(9, 3, 6))
    with mode():
        outputs = run_in_two_threads(called, modules, values)
    for module, value, output in zip(modules, values, outputs, strict=True):
        assert not output.requires_grad and output.is_inference() == (mode is torch.inference_mode)
        torch.testing.assert_close(output.clone(), called(module, value).detach())


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_either_is_raised_and_threads_are_as_they_were(failing, threads):
    modules = nn.LSTM(6, 5), nn.LSTM(6, 5)

    def run(module, values):
        if module is modules[failing]:
            raise ValueError("broken")
        return module(values)[0]

    with pytest.raises(ValueError, match="broken"):
        run_in_two_threads(run, modules, (torch.randn(9, 3, 6), torch.randn(9, 3, 6)))
    assert torch.get_num_threads() == threads


def _in_child(answers):
    torch.set_num_threads(2)
    with torch.no_grad():
        outputs = run_in_two_threads(
            lambda module, values: values + 1, (nn.Identity(), nn.Identity()), (torch.ones(2),) * 2
        )
    answers.put([output.tolist() for output in outputs])


def test_works_in_a_forked_process():
    results(run_in_two_threads)  # the parent has its thread by now, which the child will not have
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_in_child, args=(answers,))
    child.start()
    assert answers.get(timeout=60) == [[2.0, 2.0], [2.0, 2.0]]
    child.join()
