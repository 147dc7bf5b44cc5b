import torch

from mathprobe.seeds import seed, stream


def test_a_seed_is_fixed_by_its_names():
    assert seed("linalg", "test", 5) == seed("linalg", "test", 5)
    assert (
        seed("linalg", "test", 5) == 2285752413981092875
    )  # never changes: results hang on it


def test_names_order_and_types_matter():
    seeds = [seed("a", "b"), seed("b", "a"), seed("ab"), seed("a", "b", 0), seed(1)]
    assert len({*seeds, seed("1")}) == 6


def test_seeds_fit_what_torch_takes():
    assert all(0 <= seed(i) < 2**63 for i in range(1000))


def test_streams_repeat_and_differ():
    first, again, other = stream("x", 1), stream("x", 1), stream("x", 2)
    draws = [torch.rand(4, generator=rng) for rng in (first, again, other)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
