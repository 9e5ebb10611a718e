#!/bin/sh
# Collect recent logs and a few facts of this machine into a folder, for parse_logs.py.
# Every command runs through bounded_run.py of the skill shell-tools: a time limit, an output limit, no shell, and nothing
# is left running. Nothing outside the output folder is changed.
set -u

usage() {
    cat <<'USAGE'
usage: collect_logs.sh [--output DIR] [--lines N] [--since SPAN] [--unit UNIT] [--file FILE]...
                       [--timeout SECONDS] [--max-bytes N]

Collect logs into DIR and print the path of each file that was written.

  --output DIR       a folder that is new or empty (default: triage-<UTC time>)
  --lines N          newest lines of each log (default: 2000)
  --since SPAN       journal only: such as -2h or -30min (default: no limit)
  --unit UNIT        journal only: one unit
  --file FILE        read this log file instead of the journal and the system's log files; may be repeated
  --timeout SECONDS  for each command (default: 20)
  --max-bytes N      of each command's output (default: 8388608)
  --help             this text

Sources: journalctl where it has entries; else /var/log/syslog or /var/log/messages; dmesg where it may be read; and the
listings of df, free and systemctl.

Exit codes: 0 a log was collected; 2 wrong usage; 3 shell-tools or python3 is missing; 4 no log could be read;
5 the output folder cannot be used.
USAGE
}

say() { printf 'collect_logs: %s\n' "$*" >&2; }
fail() { code=$1; shift; say "$*"; exit "$code"; }

output= lines=2000 since= unit= timeout=20 max_bytes=8388608 files=0
names=$(mktemp) || exit 5
trap 'rm -f "$names"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

while [ $# -gt 0 ]; do
    case $1 in
        --help|-h) usage; exit 0 ;;
        --output|--lines|--since|--unit|--file|--timeout|--max-bytes)
            [ $# -ge 2 ] || fail 2 "$1 needs a value; see --help"
            case $1 in
                --output) output=$2 ;;
                --lines) lines=$2 ;;
                --since) since=$2 ;;
                --unit) unit=$2 ;;
                --file) files=$((files + 1)); printf '%s\n' "$2" >> "$names" ;;
                --timeout) timeout=$2 ;;
                --max-bytes) max_bytes=$2 ;;
            esac
            shift 2 ;;
        *) fail 2 "unknown argument $1; see --help" ;;
    esac
done
for number in "$lines" "$timeout" "$max_bytes"; do
    case $number in ''|*[!0-9]*|0*) fail 2 "'$number' is not a positive whole number" ;; esac
done

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd) || exit 5
tools=${SHELL_TOOLS:-$here/../../shell-tools}
bounded=$tools/scripts/bounded_run.py
[ -f "$bounded" ] || fail 3 "shell-tools is missing: $bounded is not there. \
Install it beside this skill (skillpm install shell-tools), or set SHELL_TOOLS to its folder."
command -v python3 >/dev/null || fail 3 "python3 is missing"

output=${output:-triage-$(date -u +%Y%m%dT%H%M%SZ)}
case $output in /*) ;; *) output=./$output ;; esac
mkdir -p -- "$output" 2>/dev/null || fail 5 "$output cannot be made"
[ -w "$output" ] || fail 5 "$output cannot be written to"
[ -z "$(ls -A "$output")" ] || fail 5 "$output is not empty"

# keep NAME COMMAND...: run bounded; keep the output where there is any, and say what went wrong.
keep() {
    name=$1; shift
    if ! command -v "$1" >/dev/null; then say "$1 is not on this machine"; return 1; fi
    python3 "$bounded" --timeout "$timeout" --max-bytes "$max_bytes" -- "$@" > "$output/$name" 2> "$output/.errors"
    code=$?
    [ -s "$output/.errors" ] && say "$1: $(head -c 300 "$output/.errors" | tr '\n' ' ')"
    rm -f "$output/.errors"
    if [ ! -s "$output/$name" ]; then
        rm -f "$output/$name"
        say "$1 gave nothing (exit code $code)"
        return 1
    fi
    [ "$code" -eq 0 ] || say "$1 ended with exit code $code; what it wrote is kept"
    printf '%s\n' "$output/$name"
}

# keep_file FILE: the newest lines of one log file, by its own name.
keep_file() {
    case $1 in /*) path=$1 ;; *) path=./$1 ;; esac
    [ -f "$path" ] && [ -r "$path" ] || { say "$1 cannot be read"; return 1; }
    name=$(basename -- "$path")
    case $name in .*) name=log$name ;; esac
    number=1
    while [ -e "$output/$name" ]; do number=$((number + 1)); name=$number-$(basename -- "$path"); done
    keep "$name" tail -n "$lines" "$path"
}

journal() {
    set -- journalctl --no-pager -o json -n "$lines"
    [ -z "$since" ] || set -- "$@" "--since=$since"
    [ -z "$unit" ] || set -- "$@" "--unit=$unit"
    keep journal.jsonl "$@"
}

collected=1
if [ "$files" -gt 0 ]; then
    while IFS= read -r file; do keep_file "$file" && collected=0; done < "$names"
else
    if journal; then
        collected=0
    else
        say "no journal; falling back to log files"
        for file in /var/log/syslog /var/log/messages; do
            [ -f "$file" ] && keep_file "$file" && { collected=0; break; }
        done
    fi
    if keep dmesg.log dmesg --time-format iso || keep dmesg.log dmesg; then collected=0; fi
    keep disk.txt df -P
    keep memory.txt free -m
    keep failed-units.txt systemctl list-units --failed --plain --no-legend --no-pager
fi
[ "$collected" -eq 0 ] || fail 4 "no log could be read"
