"""`custodes report`."""

from __future__ import annotations

from custodes.cli.options import JsonOption, RunArgument


def report(path: RunArgument, as_json: JsonOption = False) -> None:
    """Write RUN/report.html, one self-contained page about a run."""
    from custodes.cli.output import print_json, print_line
    from custodes.report import write_report
    from custodes.train.run_folder import open_run

    page = write_report(open_run(path).path)
    if as_json:
        print_json({"report": str(page)})
    else:
        print_line(f"Written to {page}")
