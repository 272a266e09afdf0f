"""Measuring: cases, references, LPIPS, latency, and the figures that they add up to."""

from frdiff_tune.measure.agreement import Agreement, agreements, holds
from frdiff_tune.measure.case import Case, blocks, call_arguments, cases_digest, digest_of, image_names, shuffled
from frdiff_tune.measure.case_file import load_cases
from frdiff_tune.measure.cost_model import CostModel
from frdiff_tune.measure.counters import COUNTERS, counters
from frdiff_tune.measure.drawn import Drawn, check_black, draw
from frdiff_tune.measure.evaluator import Evaluator
from frdiff_tune.measure.failure import REASONS, Failure, Reason
from frdiff_tune.measure.figure import STATISTICS, Figure, figure_names, figures
from frdiff_tune.measure.fingerprint import weights_fingerprint
from frdiff_tune.measure.hardware import capture_of, differences, machine_digest, machine_info, pipe_device
from frdiff_tune.measure.image_arguments import IMAGES, image_arguments, required_images
from frdiff_tune.measure.image_file import ImageFile
from frdiff_tune.measure.interval import Interval, bootstrap, share
from frdiff_tune.measure.latency import Pair, Stopping, latency_of, paired_ratio, time_interleaved, warm_up
from frdiff_tune.measure.measurement import Measurement, Result, summarise
from frdiff_tune.measure.metrics import PAIRED, SETS, Lpips, Paired, SetMetric, load_paired, load_sets
from frdiff_tune.measure.pace import Pace, measure_pace
from frdiff_tune.measure.picture import latent_size, picture_size, render
from frdiff_tune.measure.profile import profile
from frdiff_tune.measure.profile_file import GroupProfile, Profile, load_profile
from frdiff_tune.measure.recordings import recording
from frdiff_tune.measure.references import reference_latents, references
from frdiff_tune.measure.similarity import Similarity, similarity
from frdiff_tune.measure.stopwatch import Sample, watched_loop
from frdiff_tune.measure.timing import Timed, timing
from frdiff_tune.measure.trajectories import trajectory
from frdiff_tune.measure.verification import verification, verify
from frdiff_tune.measure.walk import Walk

__all__ = [
    "COUNTERS",
    "IMAGES",
    "PAIRED",
    "REASONS",
    "SETS",
    "STATISTICS",
    "Agreement",
    "Case",
    "CostModel",
    "Drawn",
    "Evaluator",
    "Failure",
    "Figure",
    "GroupProfile",
    "ImageFile",
    "Interval",
    "Lpips",
    "Measurement",
    "Pace",
    "Pair",
    "Paired",
    "Profile",
    "Reason",
    "Result",
    "Sample",
    "SetMetric",
    "Similarity",
    "Stopping",
    "Timed",
    "Walk",
    "agreements",
    "blocks",
    "bootstrap",
    "call_arguments",
    "capture_of",
    "cases_digest",
    "check_black",
    "counters",
    "differences",
    "digest_of",
    "draw",
    "figure_names",
    "figures",
    "holds",
    "image_arguments",
    "image_names",
    "latency_of",
    "load_cases",
    "load_paired",
    "load_profile",
    "load_sets",
    "machine_digest",
    "machine_info",
    "measure_pace",
    "paired_ratio",
    "pipe_device",
    "latent_size",
    "picture_size",
    "profile",
    "recording",
    "reference_latents",
    "references",
    "required_images",
    "render",
    "share",
    "shuffled",
    "similarity",
    "summarise",
    "time_interleaved",
    "timing",
    "trajectory",
    "verification",
    "verify",
    "warm_up",
    "watched_loop",
    "weights_fingerprint",
]
