"""`manage.py gate WORKSPACE NAME …`: exit 0 all gates pass, 100 one fails, 101 undecided."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from benchmarks.junit import junit_xml
from benchmarks.models import Benchmark
from benchmarks.selectors_gates import Candidate, Report, benchmark_report, dataset_report
from datasets.selectors import datasets_of
from workspaces.models import Workspace

EXAMPLES = """examples:
  manage.py gate math-reasoning gsm8k --model my-model-v2
  manage.py gate math-reasoning gsm8k --evaluation 41 --junit gates.xml
  manage.py gate math-reasoning --dataset "GSM8K test" --run 412

exit codes: 0 all pass, 100 one fails, 101 none fails but one is inconclusive, 2 bad usage
"""


class Command(BaseCommand):
    help = "Puts a model to the gates of a benchmark or dataset and says pass, fail or inconclusive."
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs |= {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("workspace", metavar="WORKSPACE", help="its name in addresses")
        add("benchmark", nargs="?", default="", metavar="BENCHMARK", help="its name for commands")
        add("--dataset", default="", metavar="NAME", help="a dataset instead of a benchmark")
        add("--model", default="", metavar="ALIAS", help="the latest of this model; default: the latest")
        add("--evaluation", type=int, metavar="N", help="this evaluation of the benchmark")
        add("--run", type=int, metavar="N", help="this run")
        add("--junit", type=Path, metavar="FILE", help="write JUnit XML")
        add("--json", action="store_true", help="print JSON")

    def handle(self, **options: Any) -> None:
        report = self._report(options)
        if options["junit"]:
            options["junit"].write_bytes(junit_xml(report))
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), ensure_ascii=False, indent=2))
        else:
            for each in report.rulings:
                self.stdout.write(f"{each.ruling.outcome:12}  {each.rule}")
                self.stdout.write(f"{'':12}  {each.ruling.figures}")
                if each.ruling.still_needed:
                    self.stdout.write(f"{'':12}  {each.ruling.still_needed}")
            self.stdout.write(f"{report.title}: {report.outcome}" if report.rulings else "There is no gate.")
        sys.exit(report.exit_code)

    @staticmethod
    def _report(options: dict[str, Any]) -> Report:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace {options['workspace']}.", returncode=2)
        candidate = Candidate(options["model"], options["evaluation"], options["run"])
        if options["dataset"]:
            dataset = datasets_of(workspace).filter(name=options["dataset"]).first()
            if dataset is None:
                raise CommandError(f"There is no dataset {options['dataset']}.", returncode=2)
            return dataset_report(dataset, candidate)
        benchmark = Benchmark.objects.filter(workspace=workspace, slug=options["benchmark"]).first()
        if benchmark is None:
            raise CommandError(f"There is no benchmark {options['benchmark'] or '(name one)'}.", returncode=2)
        return benchmark_report(benchmark, candidate)
