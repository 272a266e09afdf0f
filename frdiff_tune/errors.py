"""What frdiff-tune raises for a caller's mistake.

Every message names the rule, the value that broke it and the cure. A defect of ours is an ``AssertionError``, never one
of these.
"""


class FrdiffError(Exception):
    """A mistake that the caller can mend; the command line prints its message and exits with ``exit_code``."""

    exit_code = 2


class PolicyError(FrdiffError):
    """A policy, as a value or as a file, breaks a rule."""


class MismatchError(FrdiffError):
    """A policy and a pipeline do not belong together."""


class ModelError(FrdiffError):
    """A model, a device or a factory is not to be had."""


class MeasureError(FrdiffError):
    """A metric, its weights or the cases cannot be used."""


class StudyError(FrdiffError):
    """A study file or its storage cannot be used."""


class SpaceError(FrdiffError):
    """A search space, an encoding or a mixing function breaks a rule."""


class LimitError(FrdiffError):
    """No measured point keeps the limits that were asked for."""

    exit_code = 5
