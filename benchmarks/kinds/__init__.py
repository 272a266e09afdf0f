"""Kinds of acceleration that are compared at equal network cost.

The network cost of a policy is what its calls of the network take, in full steps, over the reference's steps: a step that
computes everything counts 1, one that reuses groups the share that was measured for them, a jump nothing.
"""

from benchmarks.kinds._base import Kind, network_cost
from benchmarks.kinds.features import Features, reusing
from benchmarks.kinds.fewer_steps import FewerSteps
from benchmarks.kinds.frdiff import FRDiff
from benchmarks.kinds.jumps import Jumps

__all__ = ["FRDiff", "Features", "FewerSteps", "Jumps", "Kind", "network_cost", "reusing"]
