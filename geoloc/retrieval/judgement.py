"""How looks are judged in a gallery, learned of its own objects: which stages of re-ranking help, what a score says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.retrieval.likeness import Likeness, learn_likeness
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.rerank.chain import Chain, learn_chain, return_judge
from geoloc.retrieval.self_labels import trials_of


@dataclass(frozen=True)
class Judgement:
    """How looks are judged: the stages of re-ranking that help here, and what a score after them says."""

    likeness: Likeness
    stages: tuple[str, ...] = ()


def learn_judgement(
    views: Looks, stages: Sequence[str], absent: float, rng: np.random.Generator
) -> tuple[Likeness, Chain]:
    """What a score says by a gallery's own views, after those of the `stages` that are shown to help.

    `absent` is the probability that a query shows none of the objects. A stage is kept where it is shown to help and
    answers are likelier with it. InputError where too little is known.
    """
    chain = learn_chain(return_judge(views, rng=rng), stages) if stages else Chain((), ())
    seed = int(rng.integers(2**32))

    def learnt(kept: tuple[str, ...]) -> Likeness:
        return learn_likeness(trials_of(views, np.random.default_rng(seed), kept, bool(chain.stages)), absent)

    plain = learnt(())
    if chain.stages:
        after = learnt(chain.stages)
        if after.loss < plain.loss:
            return after, chain
    return plain, Chain((), chain.gains)
