"""Rows a second of synthesis with all its checks, on one core, beside Data Designer where it is installed.

Ours: the rules of ``skills/langgraph-cli``; every row is sampled, phrased, completed, compared with all others (exact
and near), judged by the skill's contract, keyed, profiled and written to a file of JSON lines. The peer's own work is a
part of that: seven samplers and two Jinja expressions for the same five commands, then with a validator that looks at
the command's name, into a file of Parquet; no held-out values, duplicates or verdicts. Neither reads its file again.
Give the interpreter of an environment that has it:

    python benchmarks/synthesis.py [--rows 20000] [--rounds 3] [--peer /path/to/python] [--profile]

Without ``--peer`` the figures measured for Data Designer 0.9.6 on two cores stand in its column, marked as such.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from skillpm.model.episode import Episode
from skillpm.model.skill import Skill
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions, build_catalogue
from skillpm.runtime.host import Host
from skillpm.synth.generate import Synthesis, synthesise

SKILL = Path(__file__).parent.parent / "skills" / "langgraph-cli"
PUBLISHED = {"plain": 233.0, "validated": 208.0}  # rows a second of wall time, 10,000 rows, middle of the range
PEER = """
import sys, tempfile, time
import data_designer.config as dd
from data_designer.interface import DataDesigner

rows, validate = int(sys.argv[1]), sys.argv[2] == "validated"
sampler, kind = dd.SamplerColumnConfig, dd.SamplerType
builder = dd.DataDesignerConfigBuilder(model_configs=[])

def category(name, values):
    builder.add_column(sampler(name=name, sampler_type=kind.CATEGORY, params=dd.CategorySamplerParams(values=values)))

def expression(name, text):
    builder.add_column(dd.ExpressionColumnConfig(name=name, expr=text))

category("command", ["new", "dev", "up", "build", "dockerfile"])
category("template", ["agent-python", "deep-agent-python", "deep-agent-js"])
category("tag", ["a:v1", "b:v2", "team/c:dev"])
port = dd.UniformSamplerParams(low=3000, high=9000)
builder.add_column(sampler(name="port", sampler_type=kind.UNIFORM, params=port, convert_to="int"))
for name, share in (("no_browser", 0.25), ("watch", 0.35), ("wait", 0.5)):
    flag = dd.BernoulliSamplerParams(p=share)
    builder.add_column(sampler(name=name, sampler_type=kind.BERNOULLI, params=flag))
expression("request", "{% if command == 'dev' %}Start on {{ port }}{% elif command == 'build' %}Build {{ tag }}"
           "{% else %}Do {{ command }}{% endif %}")
expression("line", "langgraph {{ command }}{% if command in ['dev', 'up'] %} --port {{ port }}"
           "{% elif command == 'build' %} -t {{ tag }}{% endif %}")
if validate:
    import pandas

    def valid(frame):
        found = frame["line"].str.match(r"^langgraph\\s+(new|dev|build|up|dockerfile)\\b")
        return pandas.DataFrame({"is_valid": found})

    builder.add_column(dd.ValidationColumnConfig(
        name="valid", target_columns=["line"], validator_type=dd.ValidatorType.LOCAL_CALLABLE,
        validator_params=dd.LocalCallableValidatorParams(validation_function=valid), batch_size=1000))
provider = dd.ModelProvider(name="none", endpoint="http://127.0.0.1:9/v1", provider_type="openai", api_key="x")
designer = DataDesigner(artifact_path=tempfile.mkdtemp(), model_providers=[provider])
start, processor = time.perf_counter(), time.process_time()
made = designer.create(builder, num_records=rows, dataset_name="bench")
wall, processor = time.perf_counter() - start, time.process_time() - processor
count = len(made.load_dataset())
print("RATE", count / wall, count / processor)
"""


def make(contributions: Contributions, rows: int) -> Synthesis:
    contract = contributions.contract
    assert contract is not None

    def judge(episodes: Sequence[Episode]) -> list[Judgement]:
        return [
            Judgement.made(
                verdict=contract.judge(episode.task.expected, episode.completion), rewards={}, argv=None, failures=()
            )
            for episode in episodes
        ]

    return synthesise([contributions], judge, rows=rows, held_out=0, seed=0)


def our_rates(rows: int, rounds: int) -> tuple[float, float, Synthesis]:
    """Return the best rows a second of wall and of processor time, and what was made."""
    skill = Skill("langgraph-cli", "0", "0" * 64, SKILL)
    contributions = build_catalogue([skill], Host())[skill.name]
    make(contributions, 500)
    rates = []
    for _ in range(rounds):
        wall, processor = time.perf_counter(), time.process_time()
        made = make(contributions, rows)
        with tempfile.TemporaryDirectory() as folder:
            made.lines["train"].write(Path(folder) / "train.jsonl")
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
        count = made.lines["train"].count
        rates.append((count / wall, count / processor))
    return max(rate for rate, _ in rates), max(rate for _, rate in rates), made


def peer_rates(interpreter: Path | None, rows: int, kind: str) -> tuple[float, float, str]:
    """Return the peer's rows a second of wall and of processor time, and where the figures come from."""
    if interpreter is None:
        return PUBLISHED[kind], PUBLISHED[kind], "published"
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "DATA_DESIGNER_HOME": home,
            "NEMO_TELEMETRY_ENABLED": "false",
            "HF_HUB_OFFLINE": "1",
        }
        done = subprocess.run(
            [interpreter, "-c", PEER, str(rows), kind], capture_output=True, text=True, env=environment
        )
    rates = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RATE")]
    if not rates:
        sys.exit(f"the peer failed:\n{done.stderr[-2000:]}")
    return float(rates[0][0]), float(rates[0][1]), "measured"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=20_000)
    arguments.add_argument("--peer-rows", type=int, default=5_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--peer", type=Path)
    arguments.add_argument("--profile", action="store_true", help="print where our time goes")
    given = arguments.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if given.profile:
        with cProfile.Profile() as profile:
            our_rates(given.rows, 1)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    wall, processor, made = our_rates(given.rows, given.rounds)
    train = made.profile.skills["langgraph-cli"].train
    print(f"{'rows a second, one core':<46}{'peer':>10}{'':12}{'ours':>10}{'ratio':>9}")
    for kind, what in (("plain", "sampled and phrased"), ("validated", "sampled, phrased and validated")):
        *rates, source = peer_rates(given.peer, given.peer_rows, kind)
        for rate, ours, clock in zip(rates, (wall, processor), ("", ", processor time"), strict=True):
            print(f"{what + clock:<46}{rate:>10,.0f} {source:<11}{ours:>10,.0f}{ours / rate:>8.1f}x")
    print(f"ours: {train.rows} rows kept, {train.distinct_targets} distinct targets, thrown away: {train.rejected}")


if __name__ == "__main__":
    main()
