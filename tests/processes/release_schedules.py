"""Generated kills of the processes behind exports that wait without one, the same for the same seed."""

import random
from dataclasses import dataclass
from typing import Literal

Part = Literal["follower", "worker", "worker and flow runs", "server"]
PARTS: tuple[Part, ...] = ("follower", "worker", "worker and flow runs", "server")
Phase = Literal["asked for", "started at the platform", "suspended", "ended at the platform", "resumed"]
PHASES: tuple[Phase, ...] = ("asked for", "started at the platform", "suspended", "ended at the platform", "resumed")


@dataclass(frozen=True)
class Kill:
    """SIGKILL of a part, so many seconds after the first export has reached a phase; it stays away for some seconds."""

    phase: Phase
    seconds: float
    part: Part
    away: float

    def __str__(self) -> str:
        return f"{self.part} {self.seconds:.1f} s after “{self.phase}”, away for {self.away:.1f} s"


@dataclass(frozen=True)
class ReleaseSchedule:
    """The exports of a schedule, each as its format and how long the platform takes, and what is killed meanwhile."""

    seed: int
    exports: tuple[tuple[Literal["ifc", "mesh"], float], ...]
    kills: tuple[Kill, ...]

    def __str__(self) -> str:
        exports = ", ".join(f"{kind} of {seconds:.1f} s" for kind, seconds in self.exports)
        return f"seed {self.seed}: {exports}; {'; '.join(map(str, self.kills))}"


def release_schedule_of(seed: int) -> ReleaseSchedule:
    """The schedule of a seed."""
    chance = random.Random(seed)  # noqa: S311  generated kills are no secret
    return ReleaseSchedule(
        seed=seed,
        exports=(("ifc", chance.uniform(2, 8)), (chance.choice(["ifc", "mesh"]), chance.uniform(2, 8))),
        kills=tuple(_kill(chance) for _ in range(chance.choice([1, 2, 2, 3]))),
    )


def _kill(chance: random.Random) -> Kill:
    away = chance.choice([0, 0, chance.uniform(0, 6)])
    return Kill(chance.choice(PHASES), chance.uniform(0, 4), chance.choice(PARTS), away)
