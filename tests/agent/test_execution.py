"""What a tool cannot do, and that it is ended and told: real programs under the sandbox of this machine."""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillpm.agent.execution import Bounds, Finished, run_commands
from skillpm.agent.place import Place
from skillpm.errors import SkillpmError
from skillpm.model.manifest import Permissions
from skillpm.sandbox.sandbox import Sandbox, choose

LEVELS = ("bubblewrap", "landlock")
PROGRAMS = ("bash", "cat", "sleep", "touch", "yes", "perl", "env")


def sandbox(level: str) -> Sandbox:
    try:
        return choose(level)
    except SkillpmError as error:
        pytest.skip(error.message)


def run(folder: Path, *argv: str, level: str = "bubblewrap", writes: bool = False, **bounds: Any) -> Finished:
    place = Place(folder, writes, Permissions(run=PROGRAMS), sandbox(level))
    (finished,) = run_commands([argv], place, Bounds(**{"seconds": 20.0, **bounds}))
    return finished


BASH = ("bash", "--norc", "-c")


@pytest.mark.parametrize("level", LEVELS)
def test_a_tool_writes_its_folder_only_where_it_may_and_nothing_else_ever(level: str, tmp_path: Path) -> None:
    inside, outside = tmp_path / "work", tmp_path / "outside"
    inside.mkdir()
    script = f"echo x > new; echo x > {outside}; echo x > $TMPDIR/scratch && cat $TMPDIR/scratch"
    assert run(inside, *BASH, script, level=level).output.endswith("x\n")
    assert list(tmp_path.rglob("*")) == [inside]
    assert run(inside, *BASH, script, level=level, writes=True).exit_code == 0
    assert [path.name for path in tmp_path.rglob("*")] == ["work", "new"]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no file system in memory")
def test_a_tool_runs_in_a_folder_of_a_file_system_in_memory() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        (Path(name) / "here").write_text("seen")
        assert run(Path(name), "cat", "here").output == "seen"
        assert run(Path(name), "touch", "new").exit_code != 0 and not (Path(name) / "new").exists()
        assert run(Path(name), "touch", "new", writes=True).exit_code == 0 and (Path(name) / "new").exists()


@pytest.mark.parametrize("level", LEVELS)
def test_a_tool_starts_only_the_programs_that_the_manifest_names(level: str, tmp_path: Path) -> None:
    finished = run(tmp_path, *BASH, "/bin/ls / ; cat /etc/hostname; touch /x", level=level)
    assert "ls: Permission denied" in finished.output and "cat" not in finished.output


INTO = "chdir $ENV{TMPDIR}; sub wait_a_bit { select undef, undef, undef, .05 }"
ENDS: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "hangs": (("sleep", "60"), {"seconds": 0.5}, "timeout"),
    "ignores signals": ((*BASH, "trap '' TERM INT HUP; while :; do :; done"), {"seconds": 0.5}, "timeout"),
    "floods": (("yes",), {"flood_bytes": 1 << 20}, "output"),
    "forks": ((*BASH, "for i in {1..40}; do sleep 9 & done; wait"), {"processes": 20}, "processes"),
    "fills the disk": (
        ("perl", "-e", f"{INTO} for (;; wait_a_bit()) {{ open F, '>', $n++; print F 'x' x (4 << 20) }}"),
        {"scratch_bytes": 8 << 20},
        "disk",
    ),
    "fills the disk with files without a name": (
        (
            "perl",
            "-e",
            f"{INTO} for (;; wait_a_bit()) {{ open $f[$n], '>', 'x'; unlink 'x'; syswrite $f[$n++], 'x' x (4 << 20) }}",
        ),
        {"scratch_bytes": 8 << 20},
        "disk",
    ),
    "nests folders": (("perl", "-e", f"{INTO} for (1..200) {{ mkdir 'd'; chdir 'd' }} sleep 9"), {}, "disk"),
    "takes memory": (("perl", "-e", "$x = 'x' x (64 << 20); sleep 9"), {"memory_bytes": 100 << 20}, "memory"),
}


@pytest.mark.parametrize("what", ENDS)
def test_a_tool_that_takes_too_much_is_ended_and_it_is_said(what: str, tmp_path: Path) -> None:
    words, bounds, ended = ENDS[what]
    if what == "takes memory":  # of all its processes together: the limit of one would refuse it at once
        bounds = {**bounds, "memory_bytes": 40 << 20}
        words = (*BASH, "for i in 1 2 3 4; do perl -e '$x = \"x\" x (12 << 20); sleep 9' & done; wait")
    started = time.monotonic()
    finished = run(tmp_path, *words, **bounds)
    assert finished.ended == ended and "ended" in finished.sentence and not finished.succeeded
    assert time.monotonic() - started < 8


@pytest.mark.parametrize(("bound", "most"), [("_MAPPINGS_BYTES", 1 << 16), ("_FILES", 60)])
def test_a_tool_that_opens_or_maps_more_than_can_be_looked_at_is_ended(
    bound: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"skillpm.sandbox.consumption.{bound}", most)
    many = run(tmp_path, *BASH, "i=0; while ((i++ < 30)); do sleep 9 & done; wait")
    assert many.ended == "disk" and run(tmp_path, "sleep", "0.5").succeeded


def test_nothing_of_a_tool_is_left_behind(tmp_path: Path) -> None:
    """Neither a child in the background, nor one that left its group; and who ends its group ends itself."""
    seconds = "86399.123"
    assert run(
        tmp_path, *BASH, f"sleep {seconds} & perl -e 'setpgrp(0, 0); exec qw(sleep {seconds})' & echo on"
    ).succeeded
    deadline = time.monotonic() + 30  # what the kernel has been told to end may wait for a processor
    while seconds in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout:
        assert time.monotonic() < deadline
    killed = run(tmp_path, *BASH, "kill -9 0")
    assert (killed.ended, killed.exit_code) == ("exited", 137)


def test_no_folder_of_a_tool_is_left_behind_however_deep_or_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    deep = f"{INTO} print 'deep'; for (1..2500) {{ mkdir 'd'; chdir 'd' or die }} chmod 0, '.'"
    run(tmp_path, "perl", "-e", deep)
    assert list(tmp_path.iterdir()) == []


def test_a_tool_reads_no_input_and_has_no_terminal(tmp_path: Path) -> None:
    finished = run(tmp_path, *BASH, "read line || echo no input; cat /dev/tty")
    assert "no input" in finished.output and "No such device" in finished.output


@pytest.mark.parametrize("level", LEVELS)
def test_the_network_is_closed_unless_it_is_permitted(level: str, tmp_path: Path) -> None:
    words = ("perl", "-MSocket", "-e", "socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!; print 'open'")
    assert "not permitted" in run(tmp_path, *words, level=level).output
    place = Place(tmp_path, False, Permissions(network=True, run=("perl",)), sandbox(level))
    assert next(run_commands([words], place, Bounds())).output == "open"


def test_a_tool_gets_none_of_our_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLPM_TOKEN_EXAMPLE_ORG", "hunter2")
    monkeypatch.setenv("LD_PRELOAD_X", "x")
    output = run(tmp_path, "env").output
    assert "hunter2" not in output and "LD_PRELOAD_X" not in output and "HOME=/" in output


def test_a_tool_cannot_read_the_folders_of_keys_at_the_strongest_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id").write_text("a key")
    (tmp_path / ".netrc").write_text("a login")
    monkeypatch.setenv("HOME", str(tmp_path))
    finished = run(tmp_path, "cat", ".ssh/id", ".netrc")
    assert "a key" not in finished.output and "a login" not in finished.output


@pytest.mark.parametrize("level", LEVELS)
def test_a_tool_cannot_read_what_its_place_calls_a_secret(level: str, tmp_path: Path) -> None:
    """By its name, through a link, from a script, or below a folder; what lies beside it can be read."""
    (data := tmp_path / "data").mkdir()
    for name in ("data/keys/mine", "data/consents.json", "data/open", "config/credentials.json", "config/open"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("free" if name.endswith("open") else "hidden")
    (tmp_path / "link").symlink_to(data / "keys")
    secrets = (tmp_path / "link", data / "consents.json", tmp_path / "config/credentials.json", tmp_path / "missing")
    place = Place(tmp_path, False, Permissions(run=PROGRAMS), sandbox(level), secrets)
    script = "cat link/* */* */*/* $PWD/config/credentials.json; cat data/open config/open"
    (finished,) = run_commands([(*BASH, script)], place, Bounds())
    assert "hidden" not in finished.output and finished.output.endswith("freefree")


@pytest.mark.parametrize("level", ["landlock", "limits"])
def test_a_secret_that_only_its_name_guards_is_refused_by_its_name(level: str, tmp_path: Path) -> None:
    (tmp_path / "a key").write_text("hidden")
    place = Place(tmp_path, False, Permissions(run=PROGRAMS), sandbox(level), (tmp_path / "a key",))
    for word in ("a key", f"../{tmp_path.name}/a key", f"--file={tmp_path}/a key"):
        with pytest.raises(SkillpmError, match="is a secret"):
            place.check([("cat", word)])
    assert place.check([("cat", "another", "\0", "x" * 5000, "=")])
    with pytest.raises(SkillpmError, match="holds secrets"):
        replace(place, writes=True).check([("cat", "another")])


def test_what_is_printed_past_the_limit_is_counted_and_not_kept(tmp_path: Path) -> None:
    finished = run(tmp_path, *BASH, "printf %0500d 0", output_bytes=100)
    assert len(finished.output) == 100 and finished.written == 500 and "500 bytes" in finished.sentence


def test_commands_run_in_their_order_until_one_fails(tmp_path: Path) -> None:
    place = Place(tmp_path, False, Permissions(run=PROGRAMS), choose())
    commands = [(*BASH, "echo one"), (*BASH, "exit 3"), (*BASH, "echo never")]
    assert [item.exit_code for item in run_commands(commands, place, Bounds())] == [0, 3]


@pytest.mark.parametrize(
    ("name", "text"), [("rm", "does not name it"), ("../bin/cat", "not permitted"), ("perl6-is-not-here", "PATH")]
)
def test_a_program_is_found_by_a_permitted_name_alone(name: str, text: str, tmp_path: Path) -> None:
    place = Place(tmp_path, False, Permissions(run=("../bin/cat", "perl6-is-not-here")), choose())
    with pytest.raises(SkillpmError, match=text):
        list(run_commands([(name,)], place, Bounds()))


def test_a_program_in_the_working_folder_is_not_the_one_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cat").write_text("#!/bin/sh\necho mine\n")
    (tmp_path / "cat").chmod(0o755)
    monkeypatch.setenv("PATH", f".:{tmp_path.name}:/usr/bin:/bin")
    assert Place(tmp_path, False, Permissions(run=("cat",)), choose()).program("cat").is_absolute()
    assert "mine" not in run(tmp_path, "cat", "cat").output.replace("echo mine", "")


def test_a_tool_that_writes_starts_neither_in_the_home_folder_nor_in_the_root() -> None:
    for folder in (Path("/"), Path.home()):
        with pytest.raises(SkillpmError, match="does not start in"):
            run(folder, "touch", "x", writes=True)
