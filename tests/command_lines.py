"""Command lines by chance out of a contract's option table: one command, another spelling of it, and another command.

The spellings are those of POSIX 12.2 and GNU getopt: other names, bundles, attached values, another order, quotes,
values that say no more than their default. They know nothing of how the contract reads a line.
"""

from __future__ import annotations

import random
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from skillpm.model.contract import CommandLine, Flag, Program, ValueForm, ValueOption

VALUES: dict[ValueForm, tuple[str, ...]] = {
    "casefold": ("alpha", "beta", "gamma"),
    "integer": ("1", "2", "3", "7"),
    "size": ("6", "512", "3K", "7MB"),
    "path": ("one.txt", "two.txt", "sub", "sub/three.log"),
    "link": ("one.txt", "two.txt", "sub", "sub/"),
    "git_date": ("2 weeks ago", "yesterday", "2026-03-04", "3 months ago"),
    "letters": ("aux", "ax", "ef"),
    "duration": ("-2h", "-15min", "-1d", "2026-01-02"),
    "unit": ("nginx.service", "ssh.socket", "db-2.timer"),
    "words": ("fix the login", "dport = :443", "state listening"),
    "socket_filter": ("sport = :80", "dport = :443", "dst 10.0.0.1"),
    "priority": ("err", "crit", "notice..info"),
    "text": ("alpha", "beta", "gamma"),
}  # no two of a form say the same
SAME_VALUE: dict[str, tuple[str, ...]] = {
    "1": ("01", "+1"), "3K": ("3072", "3KiB"), "7MB": ("7000000", "7000kB"), "one.txt": ("./one.txt", ".//one.txt"),
    "sub": ("./sub",), "-2h": ("-120min", "-7200s"), "-1d": ("-24h",), "nginx.service": ("nginx",),
    "sport = :80": ("sport  =  :80", "src :80", "sport eq 80"), "2026-01-02": ("2026-01-02 00:00", "26-1-2 0:0:0"),
    "2 weeks ago": ("2.weeks", "14 days ago", "two weeks"), "yesterday": ("1.day.ago",), "3 months ago": ("3.months",),
    "fix the login": ("fix  the login",),
    "aux": ("axu", "uax"), "err": ("3", "emerg..err"), "notice..info": ("5..6", "info..notice"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One command: its program, its subcommand or "", its options with their values, and its operands."""

    program: str
    subcommand: str
    options: tuple[tuple[Flag | ValueOption, str | None], ...]
    operands: tuple[str, ...]


class CallMaker:
    """Makes commands of one program of a contract.

    Args:
        line: the contract's table.
        program: a name in it.
        chance: decides everything.
    """

    def __init__(self, line: CommandLine, program: str, chance: random.Random) -> None:
        self._name, self._program, self._chance = program, line.allow[program], chance
        names = {name for option in (*self._program.options, *self._program.values) for name in option.names}
        pairs = [(name, name.replace("--no-", "--", 1)) for name in sorted(names) if name.startswith("--no-")]
        self._rivals = [*self._program.last_of, *(pair for pair in pairs if pair[1] in names)]

    def call(self) -> Call:
        """Return a command that the table allows."""
        chance, grammar, subcommand = self._chance, self._program, ""
        if isinstance(grammar.subcommands, dict):
            subcommand = chance.choice(sorted(grammar.subcommands))
        options = [*map(self._with_value, grammar.options), *map(self._with_value, grammar.values)]
        chosen = chance.sample(options, k=min(len(options), chance.randint(0, 4)))
        for group in self._rivals:  # what stands beside one of them is a command of another meaning in another order
            rivals = [item for item in chosen if not set(group).isdisjoint(item[0].names)]
            chosen = [item for item in chosen if item not in rivals[1:]]
        if grammar.bundle_first and not chosen:  # its first word would be read as letters
            chosen = options[:1]
        operands = (
            grammar.subcommands[subcommand].operands if isinstance(grammar.subcommands, dict) else grammar.operands
        )
        words = VALUES[operands.form]
        count = chance.randint(operands.least, max(operands.least, min(operands.most, 2)))
        return Call(self._name, subcommand, tuple(chosen), tuple(chance.sample(words, k=count)))

    def _with_value(self, option: Flag | ValueOption) -> tuple[Flag | ValueOption, str | None]:
        if isinstance(option, Flag):
            return option, None
        values = [value for value in (*option.same.values(), *VALUES[option.form]) if value != option.default]
        if option.following is not None:
            values = ["5", "11"]
        return option, self._chance.choice(values)

    def other(self, call: Call) -> Call | None:
        """Return a command that says something else, or None where this command has nothing to change."""
        chance = self._chance
        implied = {option.implies for option, _ in call.options}
        counted = [
            place
            for place, (option, _) in enumerate(call.options)
            if not option.ignored and implied.isdisjoint(option.names)
        ]
        rivals = {name for group in self._rivals for name in group}
        spare = [
            option
            for option in self._program.options
            if not option.ignored and not _stands(option, call) and (rivals | implied).isdisjoint(option.names)
        ]
        changes = [
            *(["drop"] if counted else []), *(["again"] if any(map(_counts, call.options)) else []),
            *(["add"] if spare else []), *(["operand"] if call.operands else []),
            *(["value"] if any(call.options[place][1] is not None for place in counted) else []),
        ]  # fmt: skip
        if not changes:
            return None
        change, options = chance.choice(changes), list(call.options)
        if change == "drop":
            del options[chance.choice(counted)]
        elif change == "again":
            options.append(chance.choice([item for item in options if _counts(item)]))
        elif change == "add":
            options.append((chance.choice(spare), None))
        elif change == "operand":
            place = chance.randrange(len(call.operands))
            return replace(
                call, operands=(*call.operands[:place], f"{call.operands[place]}x", *call.operands[place + 1 :])
            )
        else:
            place = chance.choice([place for place in counted if options[place][1] is not None])
            option, value = options[place]
            options[place] = (
                option,
                chance.choice([made for made in ("4", "9", "delta", "-3h", "x.mount") if made != value]),
            )
            if isinstance(option, ValueOption) and (option.form == "integer" or option.following):
                options[place] = (option, "4")
        return replace(call, options=tuple(options))

    def spelling(self, call: Call) -> str:
        """Return the command in one of its spellings."""
        chance, pieces, letters = self._chance, list[list[str]](), list[str]()
        for option, value in call.options:
            name = chance.choice(option.names)
            if value is not None:
                pieces.append(self._valued(option, name, self._spelled(option, value)))
            elif len(name) == 2 and chance.random() < 0.6:
                letters.append(name[1])
            else:
                pieces.append([name])
        if letters:
            chance.shuffle(letters)
            bundle = f"-{''.join(letters)}"
            after = [piece for piece in pieces if _is_letter(self._program, piece)]
            if after and chance.random() < 0.5:  # an option with a value ends the bundle
                piece = chance.choice(after)
                pieces[pieces.index(piece)] = [bundle + piece[0][1:], *piece[1:]]
            else:
                pieces.append([bundle])
        rivals = {name for group in self._rivals for name in group}
        ignored = [
            option
            for option in self._program.options
            if option.ignored and not _stands(option, call) and rivals.isdisjoint(option.names)
        ]
        pieces += [[chance.choice(option.names)] for option in ignored if chance.random() < 0.3]
        return self._ordered(call, pieces)

    def _ordered(self, call: Call, pieces: list[list[str]]) -> str:
        chance = self._chance
        chance.shuffle(pieces)
        first = int(self._program.operands.first is not None)  # such operands are texts here, never paths
        operands = [[word if place < first else self._same(word)] for place, word in enumerate(call.operands)]
        if self._program.options_first:
            return self._joined([*pieces, *([[call.subcommand]] if call.subcommand else []), *operands])
        if chance.random() < 0.3:
            words = [*pieces, *([["--"]] if operands and not call.subcommand else []), *operands]
        else:
            words = list(pieces)
            places = sorted(chance.randint(0, len(words)) for _ in operands)
            for shift, (place, operand) in enumerate(zip(places, operands, strict=True)):
                words.insert(place + shift, operand)
            if self._program.bundle_first:
                words = [*pieces, *operands]
        if call.subcommand:
            first = next((place for place, piece in enumerate(words) if piece in operands), len(words))
            words.insert(chance.randint(0, first), [call.subcommand])
        return self._joined(words)

    def _joined(self, words: Sequence[Sequence[str]]) -> str:
        return " ".join([self._name, *(self._quoted(word) for piece in words for word in piece)])

    def _valued(self, option: Flag | ValueOption, name: str, value: str) -> list[str]:
        may = isinstance(option, ValueOption) and (not option.optional or option.following is not None)
        if may and self._chance.random() < 0.5 and not (value.startswith("-") and not value[1:2].isdigit()):
            return [name, value]
        return [f"{name}={value}" if name.startswith("--") else f"{name}{value}"]

    def _spelled(self, option: Flag | ValueOption, value: str) -> str:
        if isinstance(option, ValueOption):
            others = [text for text, meaning in option.same.items() if meaning == value]
            if others and self._chance.random() < 0.4:
                return self._chance.choice(others)
            if option.form == "text":
                return value
        return self._same(value)

    def _same(self, value: str) -> str:
        return self._chance.choice([value, *SAME_VALUE.get(value, ())]) if value in self._kinds() else value

    def _kinds(self) -> Sequence[str]:
        """Return the values that have other spellings for what this program reads."""
        forms = {option.form for option in self._program.values} | {self._program.operands.form}
        inner = self._program.subcommands
        forms |= {program.operands.form for program in inner.values()} if isinstance(inner, dict) else set()
        return [value for form in forms if form != "text" for value in VALUES[form]]

    def _quoted(self, word: str) -> str:
        return shlex.quote(word) if self._chance.random() < 0.9 or "'" in word else f'"{word}"'


def _is_letter(program: Program, piece: Sequence[str]) -> bool:
    """Is this an option of one letter with its value?"""
    return piece[0][1] != "-" and any(name == piece[0][:2] for option in program.values for name in option.names)


def _counts(item: tuple[Flag | ValueOption, str | None]) -> bool:
    """Does giving this flag once more say more?"""
    return isinstance(item[0], Flag) and item[0].repeat == "each"


def _stands(option: Flag, call: Call) -> bool:
    return any(other is option for other, _ in call.options)
