"""Which worker should have which site: every worker works it out from what the register says, and all come to the same.

Sites weigh as much as they have cameras. A free site goes to the emptiest worker; the fullest one gives a site away
while the emptiest stays below it with that. Each move brings the fullest down, so they end.
"""

from collections.abc import Collection, Mapping


def loads(weights: Mapping[str, int], owners: Mapping[str, str], workers: Collection[str]) -> dict[str, int]:
    """The weight that each worker has; `owners` are the workers of the sites that have one."""
    found = dict.fromkeys(sorted(workers), 0)
    for site, owner in owners.items():
        if owner in found:
            found[owner] += weights.get(site, 0)
    return found


def share_out(weights: Mapping[str, int], owners: Mapping[str, str], workers: Collection[str]) -> dict[str, str]:
    """The worker that should take each free site."""
    load, found = loads(weights, owners, workers), dict[str, str]()
    free = [site for site in weights if owners.get(site, "") not in load]
    for site in sorted(free, key=lambda site: (-weights[site], site)) if load else ():
        found[site] = min(load, key=lambda worker: (load[worker], worker))
        load[found[site]] += weights[site]
    return found


def to_give(weights: Mapping[str, int], owners: Mapping[str, str], workers: Collection[str], own: str) -> str:
    """The site that worker `own` should give away now; empty: none."""
    load = loads(weights, owners, workers)
    if own not in load or own != max(load, key=lambda worker: (load[worker], worker)):
        return ""
    least = min(load.values())
    mine = [site for site, owner in owners.items() if owner == own and least + weights.get(site, 0) < load[own]]
    after = {site: max(least + weights.get(site, 0), load[own] - weights.get(site, 0)) for site in mine}
    return min(after, key=lambda site: (after[site], site), default="")
