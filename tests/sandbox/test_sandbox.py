"""What a skill's code may not do in its worker: see secrets, read or write other files, connect, reach processes."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from skillpm.errors import PluginError, PolicyError
from skillpm.model.ports import SandboxLevel
from skillpm.model.trust_policy import TrustPolicy
from skillpm.sandbox import sandbox, seccomp
from skillpm.sandbox.sandbox import LEVELS, Confinement, Sandbox, choose, readable
from skillpm.worker.protocol import encode, judge_request
from skillpm.worker.sealed import SealedCopies
from skillpm.worker.settings import WorkerSettings
from tests.skill_code import Bench, episode

needs_seccomp = pytest.mark.skipif(not seccomp.available(), reason="no system-call table for this machine")
DENIED = ("PermissionError", "FileNotFoundError", "OSError")  # not permitted, not there, on a read-only file system


@pytest.fixture(params=["landlock", "bubblewrap"])
def level(request: pytest.FixtureRequest, offered: Callable[[str], Sandbox]) -> str:
    """A level that keeps files apart."""
    return offered(request.param).level


# judges an answer by running it: the verdict's reason is what came of it
SHELL = """
import ctypes, os, socket, subprocess, sys, threading
from pathlib import Path
from skillpm.plugin import Verdict

def verify(attempts, contract):
    out = []
    for attempt in attempts:
        try:
            said = repr(eval(attempt.completion, {**globals()}))
        except BaseException as error:
            said = f"{type(error).__name__}"
        out.append(Verdict(status="failed", score=0.0, reasons=(said[:1900],)))
    return out
"""


@pytest.fixture
def ask(bench: Bench) -> Callable[..., list[str]]:
    """Return ``ask(*expressions, manifest=..., level=...)``: what they give inside a worker."""

    def evaluate(*expressions: str, manifest: str = "", level: str = "auto") -> list[str]:
        files = {"verifier.py": SHELL, "skill.yaml": f"manifest: 1\nversion: 1.0.0\n{manifest}"}
        skill = bench.skill(files)
        with bench.scorer(skill, settings=WorkerSettings(choose(level))) as scorer:
            judgements = scorer.judge([episode(expression) for expression in expressions])
        return [judgement.verdict.reasons[0] for judgement in judgements]

    return evaluate


def test_the_environment_holds_no_secret_and_the_folder_is_fresh(
    ask: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    names, listing, home = ask("sorted(os.environ)", "os.listdir('.')", "os.environ['HOME'] == os.getcwd()")
    monkeypatch.undo()
    assert set(eval(names)) <= {
        "PATH",
        "LANG",
        "HOME",
        "PWD",
        "TMPDIR",
        "PYDANTIC_DISABLE_PLUGINS",
        *(name for name in os.environ if name.startswith("LC_")),
    }
    assert (listing, home) == ("[]", "True")


def test_stdin_is_empty_and_only_the_pipe_is_inherited(ask: Callable[..., list[str]]) -> None:
    stdin, descriptors = ask("sys.stdin.read()", "sum(1 for d in range(3, 4096) if ctypes.CDLL(None).fcntl(d, 1) >= 0)")
    assert stdin == "''"
    assert int(descriptors) == 3


def test_files_outside_are_neither_read_nor_written(ask: Callable[..., list[str]], tmp_path: Path, level: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    answers = ask(
        f"open({str(secret)!r}).read()",
        "open('/etc/passwd').read()",
        f"open('/proc/{os.getpid()}/environ').read()",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        "open('/dev/shm/new', 'w')",
        "open(Path(__file__).parent / 'verifier.py', 'a')",
        f"os.remove({str(secret)!r})",
        "open('scratch.txt', 'w').write('mine')",
        "open(Path(__file__).parent / 'SKILL.md').read()[:3]",
        level=level,
    )
    assert all(answer in DENIED for answer in answers[:7]), answers
    assert answers[7:] == ["4", "'---'"]
    assert secret.read_text() == "secret" and not Path("/dev/shm/new").exists()


def test_the_network_is_refused_unless_the_manifest_asks_for_it(ask: Callable[..., list[str]], level: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        tcp = f"socket.create_connection(('127.0.0.1', {port}), timeout=5).close()"
        udp = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9)) * 0"
        assert all(answer in DENIED for answer in ask(tcp, udp, level=level))
        assert ask(tcp, udp, manifest="permissions: {network: true}\n", level=level) == ["None", "0"]


@needs_seccomp
def test_processes_are_neither_started_nor_reached(ask: Callable[..., list[str]]) -> None:
    parent = os.getpid()
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        answers = ask(
            "os.fork()",
            "subprocess.run(['true'])",
            "os.system('true')",
            "os.execv('/bin/true', ['true'])",
            f"os.kill({victim.pid}, 9)",
            f"os.kill({parent}, 0)",
            f"__import__('resource').prlimit({victim.pid}, 0, (0, 0))",
            "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)",
        )
        threads = ask("[t.start() or t.join() for t in [threading.Thread(target=int)]]")
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()
    assert answers[:2] == ["PermissionError"] * 2
    assert answers[2] in ("-1", "32512")
    assert answers[3:] == ["PermissionError"] * 4 + ["-1"]
    assert threads == ["[None]"]


def test_memory_is_bounded(ask: Callable[..., list[str]]) -> None:
    assert ask("len(bytearray(1 << 36))") == ["MemoryError"]


def test_only_a_program_that_the_manifest_names_can_be_run(ask: Callable[..., list[str]], level: str) -> None:
    run = "subprocess.run(['uname'], capture_output=True).returncode"
    other = "subprocess.run(['id'], capture_output=True).returncode"
    answers = ask(run, other, manifest="permissions: {run: [uname]}\n", level=level)
    assert answers[0] == "0" and answers[1] in DENIED


@pytest.mark.parametrize("level", LEVELS)
def test_a_program_can_be_ended_before_its_end(
    ask: Callable[..., list[str]], level: str, offered: Callable[[str], Sandbox]
) -> None:
    """`subprocess.run(timeout=...)` kills the program and waits for it; so do pools and pipes that are given up."""
    offered(level)
    late = "subprocess.run(['sleep', '600'], timeout=0.1)"
    ended = "[(p := subprocess.Popen(['sleep', '600'])).terminate(), p.wait()][1]"
    gone = "[p := subprocess.Popen(['sleep', '0']), p.wait(), os.kill(p.pid, 0)]"
    wrong = "os.kill(os.getpid(), 1000)"
    huge = "os.kill(1 << 70, 9)"
    answers = ask(late, ended, gone, wrong, huge, manifest="permissions: {run: [sleep]}\n", level=level)
    assert answers == ["TimeoutExpired", "-15", "ProcessLookupError", "OSError", "OverflowError"]


def test_a_handler_may_signal_a_program_while_another_signal_is_sent(ask: Callable[..., list[str]], level: str) -> None:
    begin = "[s := __import__('signal'), calls := [], p := subprocess.Popen(['sleep', '600'])]"
    again = "s.setitimer(s.ITIMER_REAL, 0.002)"  # by the handler itself, which may take longer than that
    handle = f"s.signal(s.SIGALRM, lambda *_: [calls.append(os.kill(p.pid, 0)), {again}])"
    both = f"[{again}, [os.kill(p.pid, 0) for _ in iter(lambda: len(calls) < 20, False)]]"
    end = "[s.signal(s.SIGALRM, s.SIG_IGN), p.kill(), p.wait()]"
    answers = ask(f"[{begin}, {handle}, {both}, {end}][-1][-1]", manifest="permissions: {run: [sleep]}\n", level=level)
    assert answers == ["-9"]


def test_a_program_runs_below_a_host_with_many_open_files(ask: Callable[..., list[str]], level: str) -> None:
    """The worker inherits descriptors by their numbers, which are then larger than select(2) can wait for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip("this machine allows fewer open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(1100):
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
            run = "subprocess.run(['uname'], capture_output=True).returncode"
            assert ask(run, run, manifest="permissions: {run: [uname]}\n", level=level) == ["0", "0"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_daemon_ends_with_the_worker(bench: Bench, level: str) -> None:
    """Where programs may be started, nothing leaves the process group, and the group is killed with the worker."""
    manifest = "manifest: 1\nversion: 1.0.0\npermissions: {run: [uname]}\n"
    skill = bench.skill({"verifier.py": SHELL, "skill.yaml": manifest})
    expressions = ("os.setsid()", "(os.fork() or __import__('time').sleep(600)) and 'parent'", "os.getcwd()")
    with bench.scorer(skill, settings=WorkerSettings(choose(level))) as scorer:
        judgements = scorer.judge([episode(expression) for expression in expressions])
        setsid, parent, home = (judgement.verdict.reasons[0] for judgement in judgements)
        assert (setsid, parent) == ("PermissionError", "'parent'")
        assert len(_at_home(home)) >= 2, "the worker and its child"
    deadline = time.monotonic() + 30
    while _at_home(home) and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel takes a process namespace down on its own time
    assert _at_home(home) == []


def _at_home(home: str) -> list[Path]:
    """Return the processes whose home is this scratch folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            found += [path.parent] if f"HOME={eval(home)}\0".encode() in path.read_bytes() else []
    return found


HEIR = """
import json, os, sys, time

def verify(attempts, contract):
    frame = sys._getframe()
    while "request" not in frame.f_locals:
        frame = frame.f_back
    number = frame.f_locals["request"]["number"]
    if os.fork():
        os._exit(7)
    time.sleep(0.3)
    verdict = {"status": "passed", "score": 1.0}
    body = {"number": number, "grades": [{"verdict": verdict, "rewards": {}}], "items": [[0, None]]}
    text = json.dumps(body).encode()
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, len(text).to_bytes(4, "big") + text)
        except OSError:
            pass
    os._exit(0)
"""


def test_what_a_dead_worker_left_behind_cannot_answer_for_it(bench: Bench, level: str) -> None:
    """The group is killed before anything more is read, even a reply that would be right to the byte."""
    manifest = "manifest: 1\nversion: 1.0.0\npermissions: {run: [uname]}\n"
    with bench.scorer(
        bench.skill({"verifier.py": HEIR, "skill.yaml": manifest}), settings=WorkerSettings(choose(level))
    ) as scorer:
        (judgement,) = scorer.judge([episode("x")])
    assert judgement.verdict.status == "errored" and "exited with code 7" in judgement.verdict.reasons[0]


def test_permissions_are_given_only_as_far_as_policies_go(bench: Bench, level: str) -> None:
    manifest = "manifest: 1\nversion: 1.0.0\npermissions: {network: true, run: [uname, id]}\n"
    skill = bench.skill({"verifier.py": SHELL, "skill.yaml": manifest})
    place = WorkerSettings(choose(level), policies=(TrustPolicy(network=False), TrustPolicy(run=("id", "df"))))
    programs = [f"subprocess.run([{name!r}], capture_output=True).returncode" for name in ("id", "uname")]
    with bench.scorer(skill, settings=place) as scorer:
        judgements = scorer.judge([episode(text) for text in ("socket.socket()", *programs)])
    network, allowed, refused = (judgement.verdict.reasons[0] for judgement in judgements)
    assert (network, allowed) == ("PermissionError", "0") and refused in DENIED


def test_the_strongest_level_is_chosen_and_none_below_it_where_one_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = [level for level in LEVELS if sandbox._available(level)]
    assert choose().level == offered[0] and str(choose()).startswith(offered[0])
    assert choose("limits").level == "limits"
    assert "reading and writing any file that you may read and write" in choose("limits").gaps
    choose_limits = sandbox.Sandbox("limits", ("resource limits",))
    monkeypatch.setattr(sandbox, "_available", lambda level: choose_limits if level == "limits" else None)
    assert choose() is choose_limits and "using the network" in choose().gaps
    for wanted in ("require", "landlock", "bubblewrap"):
        with pytest.raises(PolicyError) as caught:
            choose(wanted)
        assert caught.value.exit_code == 6 and "bubblewrap" in str(caught.value.hint)


def test_a_plugin_s_level_stands_behind_our_strong_ones_and_only_where_it_is_strong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ours are taken without a look at plugins; a weak or failing level is never taken unnamed."""

    def fails() -> str:
        raise PluginError("acme: sandbox `a`: it failed")

    def brought(*levels: SandboxLevel) -> Callable[[], tuple[SandboxLevel, ...]]:
        return lambda: levels

    def level(name: str, probe: Callable[[], str], strong: bool) -> SandboxLevel:
        return SandboxLevel(name, probe, lambda enclosure: enclosure.words, strong)

    broken, absent = level("a", fails, True), level("b", lambda: "", True)
    weak, strong = level("c", lambda: "3", False), level("d", lambda: "4", True)
    limits = sandbox.Sandbox("limits", ("resource limits",))
    ours = sandbox.Sandbox("bubblewrap", ("bubblewrap 1",))
    offered = {"bubblewrap": ours, "limits": limits}
    monkeypatch.setattr(sandbox, "_available", offered.get)

    for wanted in ("auto", "require", "bubblewrap"):
        assert choose(wanted, lambda: pytest.fail("plugins were asked")) is ours
    del offered["bubblewrap"]
    for wanted in ("auto", "require"):
        assert choose(wanted, brought(broken, absent, weak, strong)).level == "plugin:d"
    assert choose("auto", brought(broken, absent, weak)) is limits
    with pytest.raises(PolicyError):
        choose("require", brought(broken, absent, weak))
    assert choose("plugin:c", brought(weak, strong)).level == "plugin:c"
    for wanted, error in (("plugin:b", PolicyError), ("plugin:a", PluginError)):
        with pytest.raises(error):
            choose(wanted, brought(broken, absent))
    with pytest.raises(PolicyError):
        choose("plugin:c", brought(weak), required=True)


HONEST = """
import asyncio, concurrent.futures, mmap, os, shutil, signal, sqlite3, sys
import tarfile, tempfile, threading, time, uuid, zipfile, zoneinfo
from pathlib import Path
from skillpm.plugin import Verdict

async def slept():
    await asyncio.wait_for(asyncio.sleep(0.001), 5)
    return await asyncio.to_thread(len, "four")

def work():
    assert asyncio.run(slept()) == 4
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(abs, range(9))) == 36
    base = sqlite3.connect("data.db")
    base.execute("create table t(a)")
    base.executemany("insert into t values(?)", [(n,) for n in range(1000)])
    base.commit()
    assert base.execute("select count(*) from t").fetchone() == (1000,)
    base.close()
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder, "first.txt")
        first.write_text("text")
        first.touch()
        for copy in (shutil.copy, shutil.copy2, shutil.copyfile):
            assert Path(copy(first, Path(folder, copy.__name__))).read_text() == "text"
        shutil.move(first, Path(folder, "moved"))
        shutil.copytree(folder, "tree")
        assert Path("tree/moved").read_text() == "text" and os.access(folder, os.W_OK)
        os.symlink("moved", Path(folder, "link"))
        os.rename(Path(folder, "moved"), "here.txt")
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.write("here.txt")
    zipfile.ZipFile("a.zip").extractall("unzipped")
    with tarfile.open("a.tar.gz", "w:gz") as archive:
        archive.add("here.txt")
    with tarfile.open("a.tar.gz") as archive:
        archive.extractall("untarred", filter="data")
    memory = mmap.mmap(-1, 1 << 20)
    memory[:4] = b"text"
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    time.sleep(0.01)
    os.sched_getaffinity(0), os.cpu_count(), uuid.uuid4(), sys.stdout.isatty(), shutil.disk_usage(".")
    return zoneinfo.ZoneInfo("Europe/Berlin").key

def verify(attempts, contract):
    return [Verdict(status="failed", score=0.0, reasons=(work(),)) for attempt in attempts]
"""


@pytest.mark.parametrize("name", LEVELS)
def test_what_honest_verifiers_do_is_allowed(bench: Bench, offered: Callable[[str], Sandbox], name: str) -> None:
    (judgement,) = bench.judge([episode("x")], {"verifier.py": HONEST}, settings=WorkerSettings(offered(name)))
    assert judgement.verdict.reasons == ("Europe/Berlin",)


@pytest.mark.skipif(os.geteuid() != 0, reason="for root")
def test_a_worker_of_root_says_what_it_cannot_read(bench: Bench, copies: SealedCopies, level: str) -> None:
    """It has no right to read what others keep to themselves."""
    skill = copies.seal(bench.skill({"verifier.py": SHELL}))
    os.chown(skill.root, 12345, 12345)
    skill.root.chmod(0o700)
    with bench.scorer(skill, settings=WorkerSettings(choose(level))) as scorer:
        (judgement,) = scorer.judge([episode("1")])
    assert f"without the rights of root and cannot read {skill.root}" in judgement.verdict.reasons[0]


STUBBORN = """
import os, signal, time

def verify(attempts, contract):
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            pass
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        os.fork() or os.fork()
    except OSError:
        pass
    while True: time.sleep(60)
"""


@pytest.mark.parametrize("programs", [(), ("uname",)], ids=["", "with a program"])
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_a_worker_ends_with_its_host_whatever_it_ignores(
    bench: Bench, copies: SealedCopies, tmp_path: Path, level: str, number: int, programs: tuple[str, ...]
) -> None:
    """A host that is killed cannot do anything; the kernel and the watcher of the group do it."""
    skill = copies.seal(bench.skill({"verifier.py": STUBBORN}))
    script = tmp_path / "host.py"
    message = encode({**judge_request([episode()], None), "number": 1})
    script.write_text(f"""
import os, signal, threading, time
from pathlib import Path
from skillpm.model.manifest import Permissions
from skillpm.model.skill import Skill
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.sandbox import choose
from skillpm.worker.process import WorkerProcess
from skillpm.worker.protocol import ReplyBudget
if {int(number)} != signal.SIGKILL:
    signal.signal({int(number)}, signal.SIG_DFL)  # where tests run under nohup, it is ignored
skill = Skill("serving", "1", {skill.tree!r}, Path({str(skill.root)!r}))
worker = WorkerProcess(skill, Permissions(run={programs!r}), Limits(), choose({level!r}))
asking = threading.Thread(target=worker.call, args=({message!r}, 60, ReplyBudget(1 << 16, 1 << 12)), daemon=True)
asking.start()
time.sleep(0.5)
assert asking.is_alive(), "the verifier does not run"
print(worker._scratch, flush=True)
os.kill(os.getpid(), {int(number)})
""")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # a host that is killed cannot clean up
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == -number, done.stderr
    home = repr(done.stdout.strip())
    deadline = time.monotonic() + 30
    while (left := _at_home(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for path in left:
        os.kill(int(path.name), signal.SIGKILL)
    assert left == [], "the worker outlived its host"


def test_a_worker_outlives_the_thread_that_started_it(bench: Bench, level: str) -> None:
    """The kernel ends a process with the thread that started it, so one thread starts all and lasts."""
    with bench.scorer(bench.skill(), settings=WorkerSettings(choose(level))) as scorer:
        thread = threading.Thread(target=scorer.judge, args=([episode()],))
        thread.start()
        thread.join()
        (pool,) = scorer._pools.values()
        first = [worker.pid for worker in pool.processes]
        assert scorer.judge([episode("{}")])[0].verdict.status == "failed"
        assert first and [worker.pid for worker in pool.processes] == first


def test_with_the_network_certificates_can_be_read_and_private_keys_cannot(tmp_path: Path) -> None:
    trees = readable(Confinement(skill=tmp_path, scratch=tmp_path, network=True))
    assert Path("/etc/ssl/certs") in trees
    assert not any(Path("/etc/ssl/private").is_relative_to(tree) for tree in trees)
