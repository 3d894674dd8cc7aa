"""What `geoloc evaluate` does with rows of errors or of probabilities: are they honest?"""

from argparse import Namespace

import numpy as np

from geoloc.cli.evaluate_tracks import left_out
from geoloc.evaluation.measures import Blocks
from geoloc.evaluation.report import Report
from geoloc.evaluation.tracking_measures import TrackingOptions
from geoloc.evaluation.uncertainty import Errors, Forecasts, report_uncertainty
from geoloc.io.error_rows import read_errors, read_forecasts
from geoloc.metrics.bootstrap import block_length, time_blocks
from geoloc.options import load_options

NO_BLOCKS = Blocks(np.empty(0, dtype=int), 0)


def evaluate_errors(args: Namespace) -> list[Report]:
    """NEES of errors, or NIS of innovations, with coverage, sharpness and likelihood."""
    rows, said = read_errors(args.results[0])
    warnings = left_out(said)
    what = f"rows of {said.kind}"
    blocks, how_sure = _blocks(args, rows.time)
    errors = Errors(what, rows.figure, rows.error, rows.cov, blocks)
    nothing = Forecasts(what, np.empty(0), np.empty(0, dtype=bool), NO_BLOCKS)
    return [report_uncertainty(args.title or said.path, errors, nothing, how_sure).warned(*warnings)]


def evaluate_forecasts(args: Namespace) -> list[Report]:
    """Brier score, reliability and log loss of stated probabilities."""
    rows, said = read_forecasts(args.results[0])
    warnings = left_out(said)
    blocks, how_sure = _blocks(args, rows.time)
    nothing = Errors("", "nees", np.empty((0, 2)), np.empty((0, 2, 2)), NO_BLOCKS)
    forecasts = Forecasts("rows of probabilities", rows.probability, rows.event, blocks)
    return [report_uncertainty(args.title or said.path, nothing, forecasts, how_sure).warned(*warnings)]


def _blocks(args: Namespace, time: np.ndarray) -> tuple[Blocks, str]:
    length = block_length(time, load_options(TrackingOptions(), args.options, args.set).block_s)
    block = time_blocks(time, length)
    return Blocks(block, int(block.max(initial=-1)) + 1), f"bootstrap over blocks of {length:g} s"
