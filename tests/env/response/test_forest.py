from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.env.response.forest import Forest, forest_of
from tests.env.response.definition import family
from tests.env.response.worlds import Event, World, dataset_of, worlds


def forest(*pairs: tuple[str, str]) -> Forest:
    """Of rows that name an entity and its parent."""
    return forest_of(dataset_of([Event(time=1, entity=one, parent=above) for one, above in pairs]))


def descendants(found: Forest, entity: int) -> Iterable[int]:
    yield entity
    for child in np.flatnonzero(found.parent == entity):
        yield from descendants(found, int(child))


@settings(max_examples=80, deadline=None)
@given(worlds())
def test_links_are_those_of_the_definition(world: World) -> None:
    found = forest_of(world.dataset)
    names = [(world.events[row].stream, world.events[row].entity) for row in found.first.tolist()]
    assert names == list(dict.fromkeys((event.stream, event.entity) for event in world.events))
    assert [names[e] for e in found.entity.tolist()] == [(event.stream, event.entity) for event in world.events]
    links = family(world, range(len(world.events)))
    assert [names[e] if e >= 0 else None for e in found.parent.tolist()] == [links[name] for name in names]


@settings(max_examples=80, deadline=None)
@given(worlds(), st.data())
def test_sums_births_and_ends_reach_all_descendants(world: World, data: st.DataObject) -> None:
    found, count = forest_of(world.dataset), len(world.events)
    values = np.arange(count, dtype=np.float64)
    own = np.array(data.draw(st.lists(st.integers(0, count), min_size=found.entities, max_size=found.entities)))
    malicious = np.array(data.draw(st.lists(st.booleans(), min_size=found.entities, max_size=found.entities)))
    gone, roots = found.spread(own), found.attack_roots(malicious)
    below = {entity: list(descendants(found, entity)) for entity in range(found.entities)}
    for entity, family_ in below.items():
        rows = np.flatnonzero(np.isin(found.entity, family_))
        assert found.total(values)[entity] == pytest.approx(values[rows].sum())
        assert found.birth[entity] == rows.min()
        above = [one for one in below if entity in below[one]]
        assert found.depth[entity] == len(above) - 1
        guilty = [one for one in above if malicious[one]]
        assert roots[entity] == (min(guilty, key=lambda one: found.depth[one]) if guilty else entity)
        # Gone as told, or from birth when some ancestor (or its ancestor's end) was before that.
        stopped = any(
            own[one] <= found.birth[two] for one in above for two in above if two in below[one] and two != one
        )
        assert gone[entity] == (min(own[entity], found.birth[entity]) if stopped else own[entity])


def test_rings_are_cut_and_what_hangs_on_them_stays() -> None:
    found = forest(("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("e", "d"), ("f", "f"), ("g", "nobody"))
    assert found.parent.tolist() == [-1, -1, -1, 0, 3, -1, -1]


def test_a_long_chain_is_one_tree() -> None:
    found = forest(*((f"p{index}", f"p{index - 1}") for index in range(1, 400)), ("p0", ""))
    assert found.depth.max() == 399
    assert found.total(np.ones(400)).max() == 400
    assert found.birth[-1] == 0


def test_the_first_parent_that_is_named_counts() -> None:
    found = forest(("a", ""), ("b", ""), ("c", ""), ("c", "b"), ("c", "a"))
    assert found.parent.tolist() == [-1, -1, 1]
