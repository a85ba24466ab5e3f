"""Seeds and states of ranks: no two draw the same numbers, also if their number changes in a resume."""

import pytest
import torch

from cyclegan_audio.models import rank_states
from cyclegan_audio.models.rank_states import rank_modules, restore_rank_state, seed_rank

RANDOM = (
    *("model.loss_weights.restoration=5", "model.source_variation.probability=0.5"),
    *("model.cycle_noise=0.1", "seed=7"),
)


@pytest.fixture
def as_rank(monkeypatch):
    """Return a function that sets the rank and the number of ranks."""

    def set_rank(rank: int, n_ranks: int) -> None:
        monkeypatch.setattr(rank_states, "_world_size", lambda: n_ranks)
        monkeypatch.setattr(rank_states.dist, "get_rank", lambda: rank)

    return set_rank


def first_seeds(model) -> dict[str, int]:
    """Return the seeds of the random generators of pools and inputs, which have drawn nothing since."""
    rngs = {
        name: getattr(module, "rng", None) or module.generator for name, module in rank_modules(model).items()
    }
    return {name: rng.initial_seed() for name, rng in rngs.items()}


def test_every_pool_and_input_of_every_rank_has_its_seed(tiny_model):
    model = tiny_model(*RANDOM)
    names = ["pool_a", "pool_b", "inputs.corruption.rng", "inputs.variation.rng", "inputs.rng"]
    seed_rank(model, 7, 0)
    assert first_seeds(model) == dict(zip(names, range(7, 12), strict=True))
    seed_rank(model, 7, 2)
    assert first_seeds(model) == dict(zip(names, range(17, 22), strict=True))


def test_the_contrast_and_the_inputs_of_cut_differ(tiny_model):
    model = tiny_model("model=cut_small", *RANDOM[:1], "seed=7")
    seed_rank(model, 7, 0)
    assert first_seeds(model) == {"pool_b": 7, "inputs.corruption.rng": 8, "contrast.rng": 7}


def draws(model) -> list[float]:
    return [float(torch.rand((), generator=model.pool_a.rng)), float(model.inputs.rng.uniform((1,)))]


def test_ranks_that_join_a_run_draw_other_numbers(tiny_model, as_rank):
    """A run of one rank, or of three, goes on with two: the first continues, the second draws its own."""
    loaded = tiny_model(*RANDOM)
    draws(loaded)
    state = loaded.state_dict()
    expected = draws(loaded)
    for states in ([], [{}] * 3):
        models = [tiny_model(*RANDOM) for _ in range(2)]
        for rank, model in enumerate(models):
            model.load_state_dict(state)
            as_rank(rank, 2)
            restore_rank_state(model, states, 7)
        first, second = map(draws, models)
        assert first == expected
        assert not set(first) & set(second)


def test_the_same_number_of_ranks_restores_the_state_of_each(tiny_model, as_rank):
    models = [tiny_model(*RANDOM) for _ in range(2)]
    for rank, model in enumerate(models):
        seed_rank(model, 7, rank)
    states = [
        {name: module.get_extra_state() for name, module in rank_modules(model).items()} for model in models
    ]
    expected = draws(models[1])
    restored = tiny_model(*RANDOM)
    as_rank(1, 2)
    restore_rank_state(restored, states, 7)
    assert draws(restored) == expected
