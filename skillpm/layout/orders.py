r"""The words and patterns of what public skills have told agents to do, for ``instructions``.

Sources: ClawHavoc (2026: fake prerequisites, encoded pipes, archives with a password), ToxicSkills (2026: reads and
sends of keys), vercel-labs/skills#602 (a comment that only the agent reads). Every pattern starts at a word and has
bounded gaps, so that a text of any length takes linear time. They hold for one long line, upper and lower case alike.
"""

from __future__ import annotations

from enum import Enum, auto


class Told(Enum):
    """What a text tells an agent to do."""

    RUN_DOWNLOAD = auto()
    RUN_ENCODED = auto()
    COMMENT = auto()
    PASSWORD = auto()
    READ_SECRETS = auto()
    SEND_SECRETS = auto()
    REMOTE_SHELL = auto()


# --- words of command lines

_LETTERS = r"\w\x80-\U0010ffff"  # of names of files, and of what people choose: of any script
# `curl | bash` in prose has no place
_PLACE = rf"(?:\.exe)?(?=\s)(?=[^\n|]{{0,400}}?(?:[{_LETTERS}][./:][{_LETTERS}]|[${{]))"
_DOWNLOAD = rf"(?:curl|wget2?|iwr|irm|invoke-webrequest|invoke-restmethod|aria2c|lynx|xh){_PLACE}"
_FETCH = rf"(?:{_DOWNLOAD}|(?:nc|ncat|netcat|dig|ftp){_PLACE})"
_PIPED = r"[^\n|]{0,600}+\|&?"  # what is left of a command and its pipe, which a table of Markdown escapes
_STAGES = rf"(?:{_PIPED}){{0,4}}"
_FOLDER = rf"(?:/[{_LETTERS}./-]{{0,60}}/)?"
_BEFORE = (
    r"(?:[({]\s*(?:[^\n;&|(){}]{1,100}(?:&&|;)\s*)?)?"
    rf"(?:{_FOLDER}(?:sudo|doas|env|exec|nohup|command|time|xargs|busybox)\b[^\n|]{{0,60}}?\s"
    rf"|\w{{1,40}}+=\S{{0,80}}+\s+){{0,6}}"
)
_END = r"(?=\s*(?:$|[\n;&|)}\]`'\"#<>,]|\\[nr\"'|]|\s-{1,2}(?!c\b)\w|\s-\s|\s-$|\s(?:and|to|in|or|from|with|as)\b))"
_SHELL = rf"{_FOLDER}(?:(?:ba|z|da|k|c|tc|fi|a)?sh)(?!\s+-c\b){_END}"
# these read a program from stdin only where no other is given: `| python -m json.tool` reads data
_LANGUAGE = (
    rf"{_FOLDER}(?:python[\d.]*|perl|ruby|node|php|pwsh|powershell|osascript|deno|bun)(?:\.exe)?"
    r"(?:\s+(?:run\s+)?-(?=[\s`'\")]|$))?(?=\s*(?:$|[\n;&|)`'\"#]|\\[nr\"']))"
)
_INVOKE = r"(?:iex|invoke-expression)\b"
_RUNS = (
    rf"\s*{_BEFORE}(?:{_SHELL}|{_LANGUAGE}|{_INVOKE}|(?:source|\.)\s+/dev/stdin|(?<=\s)(?:ba|z|da)?sh\s+-c\s*$"
    r"|while\s+read\b[^\n|]{0,80}?\b(?:eval|(?:ba|z|da)?sh\s+-c)\b)"
)
_PROGRAM_AT = r"https?://[^\s)>]{1,200}?\.(?:sh|exe|ps1|bat|cmd|msi|dmg|pkg|scr|vbs|hta|jar)\b"
_LATER = r"(?P<between>[;&\n][^#]{0,200}?)(?<=[;&\n])\s*(?:sudo\s+)?"  # another command, soon
_PROGRAM_NAME = r"[^\s\"'`;&|]{1,100}?\.(?:sh|exe|ps1|bat|cmd|com|msi|scr|vbs|hta)\b"
# what runs any file, and what opens one: `python prices.csv` runs it, `start prices.csv` shows it; `-m` takes a name
_WITH = (
    r"(?:(?:(?:ba|z|da|k)?sh|python[\d.]*|source|\.|node|perl|ruby|php|pwsh|java|(?:uv|deno|bun)\s+run)\s+"
    rf"(?:--?(?!m\s)[\w-]{{1,20}}\s+){{0,3}}(?:<\s*)?|start\s+(?={_PROGRAM_NAME}))"
)
_HERE = r"(?:\./|\.\\)"
_AS_COMMAND = rf"(?=[^\s\"'`;&|]{{0,100}}?[/\\$]|{_PROGRAM_NAME})"  # a name alone that a shell would run
_THE_FILE = r"(?P=file)(?=[\s\"'`;&|]|$)"
# a shell that is given a program: bash <(…), bash -c "$(…)", eval "$(…)", . <(…), iex (…)
_SUBSTITUTES = (
    rf"(?:(?:^|(?<=[\s;&|`'\"(]))(?:{_FOLDER}(?:(?:ba|z|da|k|a)?sh|python[\d.]*|perl|ruby"
    rf"|node)(?:\s+-[\w-]{{1,12}}){{0,4}}|eval|source|exec|\.|iex|invoke-expression))"
    r"\s*(?:<\s*)?[\"'&{(\s]{0,6}(?:<\(|\$\(|`|<<<\s*[\"']?\$\(|\()\s*"
)
_DECODE = (
    r"(?:(?:base64|base32|basenc|gbase64)\b[^\n|]{0,60}\s(?:-\w*[dD]\w*|--decode)\b|openssl\s+(?:enc|base64)\b[^\n"
    r"|]{0,80}\s-d\b"
    r"|xxd\s[^\n|]{0,20}-\w*r|uudecode\b|(?:echo\s+-\w*e\w*|printf)\s+[\"']?(?:\\\\?x[0-9a-f]{2}|\\\\?[0-7]{3})"
    r"|(?:echo|printf)\b[^\n]{1,300}?\|\s*(?:rev|tr\s[^\n|]{1,80}|gunzip|zcat|gzip\s+-d\w*)\b)"
)

# --- what is secret

_HOME = (
    rf"(?:~|\$\{{?home\}}?|%userprofile%|\$env:userprofile|/root|/(?:home|users)/[{_LETTERS}.$-]{{1,32}}"
    r"|path\.home\(\)|homedir\(\))"
)
_KEY_FILE = (
    r"(?:\.ssh[/\\\"'\s,]{1,4}(?:id_(?:rsa|dsa|ecdsa|ed25519)|identity|\*)(?!\w*\.pub)|/\.ssh/?(?=[\s\"'`)|;]|$)"
    r"|\.aws[/\\\"'\s,]{1,4}credentials|/\.aws/?(?=[\s\"'`)|;]|$)|\.gnupg\b|\.netrc\b|\.pypirc\b|\.git-credentials\b"
    r"|(?:~|\$\{?home\}?)/\.npmrc\b|\.docker/config\.json|\.kube/config\b|\.config/gcloud\b|\.config/gh/hosts\.yml|\.config/solana\b"
    r"|\.claude/\.credentials|\.(?:openclaw|clawdbot|moltbot)/|\.(?:bash|zsh)_history\b|library/keychains\b"
    r"|/etc/shadow\b|/proc/(?:self|\d+|\*)/environ\b|login\\? data\b"
    r"|(?:default|profile \d)/cookies\b|cookies\.(?:sqlite|db)\b|wallet\.dat\b|\bid_(?:rsa|ed25519)\b(?!\.pub))"
)
_KEYS_OR_VALUES = (
    rf"(?:{_KEY_FILE}|\.env(?![\w.])|/etc/passwd\b|\bsecrets?\.(?:json|ya?ml|txt|env)\b|\bcredentials\.(?:json"
    rf"|ya?ml)\b)"
)
_READERS = (
    r"(?:cat|less|more|head|tail|cp|mv|scp|rsync|tar|zip|7z|base64(?=\s+[^a-z])|xxd|od|strings|nl|tac|dd|type"
    r"|get-content|gc|sqlite3|gist\s+create|(?:grep|rg|awk|sed)(?!\s+-\w*[qc]))"
)
_NET = r"(?:curl|wget|nc|ncat|netcat|socat|ftp|telnet|iwr|irm|invoke-webrequest|invoke-restmethod|openssl\s+s_client)"
_DONE = r"(?<!never )(?<!not )(?<!n't )"  # honest skills say what is not to be done
_TO = r"(?:https?://(?!localhost|127\.)|webhook|telegram|discord|pastebin|\bserver\b|\bendpoint\b)"

# --- who is spoken to, in a text that people do not see

OVERRIDE = (
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^\n]{0,60}\b(?:instruction|rule|prompt|guideline|restriction"
    r"|polic|previous|prior|above|safety|user)|\bnew\s+(?:system\s+)?instructions?\s*:|\bbegin\s+system\b"
)
SECRETLY = (
    r"\b(?:do not|don't|never|without)\s+(?:tell|mention|inform|show|reveal|disclos|notify|ask|alert"
    r"|report)\w*\b[^\n]{0,40}\b(?:user|human|person|anyone|them|owner|permission|confirmation|this|it)\b"
)
_AGENT = (
    r"\b(?:ai|agents?|assistants?|llms?|claude|codex|chatgpt|gpt|copilot|gemini|cursor|openclaw|system prompt|model)\b"
)
ORDER = (
    r"\b(?:run|execute|send|upload|post|read|open|cat|curl|wget|fetch|download|install|exfiltrate|forward|transmit|copy"
    r"|delete|remove|append|email|call|visit|reveal|decode|eval|chmod|sudo)\b"
)
YOU = (
    r"\b(?:you must|you should|you are|you will|your task|always|before (?:you|answering|doing|any)|first,|important)\b"
)
ADDRESSED = (
    rf"{_AGENT}[^.\n:,]{{0,40}}[:,\u2014-]\s*[^.\n]{{0,160}}?{ORDER}"
    rf"|(?:\byou|{_AGENT})\s+(?:must|should|shall|need to|have to|please)\b[^.\n]{{0,120}}?{ORDER}"
    rf"|{ORDER}[^.\n]{{0,120}}?\b(?:silently|secretly)\b"
)
RISK = (
    rf"(?:https?://|{_KEY_FILE}|\.env\b|\b(?:keys?|tokens?|credentials?|secrets?|passwords?|curl|wget|bash|rm|chmod)\b)"
)


# --- words by which a line is worth a look: most texts have none of them

_FETCH_WORDS = (
    "curl", "wget", "wget2", "iwr", "irm", "invoke-webrequest", "invoke-restmethod", "aria2c", "lynx", "xh", "nc",
    "ncat", "netcat", "dig", "ftp",
)  # fmt: skip
_NET_WORDS = (
    "curl", "wget", "nc", "ncat", "netcat", "socat", "ftp", "telnet", "iwr", "irm", "invoke-webrequest",
    "invoke-restmethod", "s_client",
)  # fmt: skip
_DECODE_WORDS = (
    "base64", "base32", "basenc", "gbase64", "openssl", "xxd", "uudecode", "\\", "rev", "tr", "gunzip", "zcat", "gzip",
)  # fmt: skip
_UNPACK_WORDS = (
    "base64", "b64decode", "decode_base64", "decode64", "chr", "bytes",
    "a2b_base64", "base64_decode", "zlib", "lzma", "gzip", "fromhex", "codecs", "marshal",
    "binascii", "atob", "buffer", "gzinflate", "str_rot13", "unescape", "fromcharcode",
)  # fmt: skip
_KEY_WORDS = (
    ".ssh", ".aws", ".gnupg", ".netrc", ".pypirc", "credentials", ".docker", ".kube", ".config", ".bash_history",
    ".zsh_history", "keychains", "shadow", "login data", "login\\ data", "cookies", ".sqlite", ".db", ".dat", "id_rsa",
    "id_ed25519", ".npmrc", "/proc/", ".openclaw", ".clawdbot", ".moltbot",
)  # fmt: skip
_SUBSTITUTION = ("<", "$", "`")


# what is told, words of which its line has one, words of which the text has one, and the pattern; a word begins and
# ends where a name does
COMMANDS: tuple[tuple[Told, tuple[str, ...], tuple[str, ...], str], ...] = (
    (Told.RUN_DOWNLOAD, _FETCH_WORDS, ("|",), rf"\b{_FETCH}{_PIPED}{_STAGES}{_RUNS}"),
    (
        Told.RUN_DOWNLOAD,
        _FETCH_WORDS,
        (*_SUBSTITUTION, "iex", "invoke-expression"),
        rf"{_SUBSTITUTES}[^\n)]{{0,80}}?\b{_DOWNLOAD}",
    ),
    (
        Told.RUN_DOWNLOAD,
        ("iex", "invoke-expression"),
        ("downloadstring", "iwr", "irm", "invoke-webrequest", "invoke-restmethod"),
        rf"\b{_INVOKE}[^\n]{{0,200}}\b(?:downloadstring|iwr|irm|invoke-webrequest|invoke-restmethod)\b"
        rf"|\bdownloadstring\b[^\n]{{0,400}}\|\s*{_INVOKE}",
    ),
    (
        Told.RUN_DOWNLOAD,
        ("urlopen", ".request", ".get", "fetch"),
        ("exec", "eval", "sh", "bash", "zsh"),
        r"\bfetch\([^\n]{0,200}\.then\(\s*(?:\w{1,20}\s*=>\s*)?(?:eval|new function)\b"
        r"|\b(?:exec|eval)\s*\([^\n]{0,120}(?:urlopen|urllib\.request|requests\.get|httpx\.get|\bfetch\(|\.get\([\"']https?:)"
        r"|\[\s*[\"'](?:ba|z)?sh[\"']\s*,\s*[\"']-c[\"']\s*,[^\n]{0,80}(?:urlopen|\.get)\(",
    ),
    (Told.RUN_DOWNLOAD, ("mshta",), (), r"\bmshta(?:\.exe)?\s+[\"']?https?://"),
    (
        Told.RUN_DOWNLOAD,
        _FETCH_WORDS,
        ("$", "`"),
        rf"\b(?P<name>\w{{1,40}})=[\"']?(?:\$\(|`)\s*{_DOWNLOAD}[^\n)`]{{0,400}}+[)`][\s\S]{{0,200}}?"
        r"\b(?:eval|(?:ba|z|da)?sh\s+-c)\s+[\"']?\$\{?(?P=name)\b",
    ),
    (
        Told.RUN_DOWNLOAD,
        ("curl", "wget", "iwr", "invoke-webrequest"),
        (),
        r"\b(?:curl|wget|iwr|invoke-webrequest)\b[^\n|;&]{0,300}?"
        r"(?:\s(?:-o|--output|-outfile|--output-document)|>)[ =]*[\"']?(?P<file>["
        rf"{_LETTERS}./~$\\-]{{1,100}}+)[^\n|;&]{{0,300}}+"
        rf"{_LATER}(?:{_WITH}[\"']?{_HERE}?|[\"']?(?:{_HERE}|{_AS_COMMAND})){_THE_FILE}",
    ),
    (
        Told.RUN_DOWNLOAD,
        ("curl", "wget"),
        (),
        r"\b(?:curl|wget)\b[^\n|;&]{0,300}?https?://[^\s|;&\"'`<>]{1,300}?/"
        rf"(?P<file>[{_LETTERS}.-]{{1,100}}+)(?=[\s\"'`;&])[^\n|;&]{{0,100}}+{_LATER}(?:{_WITH}[\"']?(?:{_HERE}|[{_LETTERS}./~$-]{{0,60}}/)?|{_HERE}){_THE_FILE}",
    ),
    (
        Told.RUN_DOWNLOAD,
        ("urlopen", "requests", "httpx", "fetch"),
        ("exec", "eval"),
        r"\b(?P<name>\w{1,40})\s*=\s*[^\n]{0,80}?(?:\burlopen|\brequests\.get|\bhttpx\.get|\bfetch)\([^\n]{0,200}\n"
        r"[\s\S]{0,200}?(?:(?<![\w.])|\b(?:window|globalthis)\.)(?:exec|eval)\(\s*(?P=name)\b",
    ),
    (
        Told.RUN_DOWNLOAD,
        ("certutil", "bitsadmin", "regsvr32", "deno"),
        ("://",),
        r"\bcertutil(?:\.exe)?\s[^\n]{0,80}urlcache\b[^\n]{0,80}https?://|\bbitsadmin(?:\.exe)?\s+/transfer\b[^\n]{0,120}"
        r"https?://|\bregsvr32(?:\.exe)?\s[^\n]{0,80}/i:https?://|\bdeno\s+run\s[^\n|;&]{0,120}?https?://",
    ),
    (
        Told.RUN_DOWNLOAD,
        ("download",),
        ("://",),
        rf"\bdownload\b(?:\s+and\s+(?:run|execute|launch)\b[^\n]{{0,120}}?{_PROGRAM_AT}|[^\n]{{0,120}}?{_PROGRAM_AT}"
        r"[^\n]{0,60}?\b(?:run|execute|launch|double-click)\b)",
    ),
    (
        Told.RUN_DOWNLOAD,
        ("paste", "copy"),
        ("://",),
        r"https?://[^\n]{0,200}\b(?:copy|paste)\b[^\n]{0,120}\b(?:terminal|powershell|command prompt|shell|console)\b"
        r"|\b(?:copy|paste)\b[^\n]{0,120}https?://[^\n]{0,200}\b(?:into|in)\s+(?:your\s+|a\s+|the\s+)?"
        r"(?:terminal|powershell|command prompt|shell|console)\b",
    ),
    (Told.RUN_ENCODED, _DECODE_WORDS, ("|",), rf"\b{_DECODE}[^\n|]{{0,4000}}+\|&?{_STAGES}{_RUNS}"),
    (Told.RUN_ENCODED, _DECODE_WORDS, _SUBSTITUTION, rf"{_SUBSTITUTES}[^\n]{{0,4000}}?\b{_DECODE}"),
    (
        Told.RUN_ENCODED,
        _UNPACK_WORDS,
        ("exec", "eval", "function"),
        r"\b(?:exec|eval|new function"
        rf"|function)\s*\(\s*(?:[{_LETTERS}.]{{1,40}}\(\s*){{0,4}}(?:__import__\(\s*[\"']\w{{1,20}}[\"']\s*\)\.)?"
        r"(?:base64\.\w+|b64decode|a2b_base64|zlib\.decompress|lzma\.decompress|gzip\.decompress|bytes\.fromhex|bytes(?=\(\[)"
        r"|codecs\.decode|marshal\.loads|binascii\.\w+|atob|buffer\.from|base64_decode|gzinflate|str_rot13|unescape"
        r"|string\.fromcharcode|[\"']{2}\.join\(\s*(?:map\(\s*)?chr\b)\s*[(,]"
        r"|\beval[\s(]+(?:[\w:]{1,40}\.)?decode_?(?:base)?64\b",
    ),
    (
        Told.RUN_ENCODED,
        ("powershell", "pwsh"),
        (),
        r"\b(?:powershell|pwsh)(?:\.exe)?\b[^\n]{0,200}\s[-/]e(?:nc|ncodedcommand|c)?\s+[\"']?[a-z0-9+/=]{16}",
    ),
    (
        Told.RUN_ENCODED,
        ("frombase64string",),
        (),
        rf"\b{_INVOKE}[^\n]{{0,200}}frombase64string|frombase64string[^\n]{{0,4000}}\|\s*{_INVOKE}",
    ),
    (
        Told.PASSWORD,
        ("unzip", "7z", "7za", "7zr", "unrar", "bsdtar"),
        (),
        r"\bunzip\s[^\n]{0,80}-P\s*\S|\b7z[ar]?\s+[xe]\b[^\n]{0,120}\s-p\S|\bunrar\s+[xe]\b[^\n]{0,120}\s-p\S"
        r"|\bbsdtar\b[^\n]{0,120}--passphrase",
    ),
    (
        Told.PASSWORD,
        ("pass", "password", "passphrase", "passcode", "passwd", "pw"),
        (".zip", ".7z", ".rar", "extract", "unzip", "unpack", "decompress", "unarchive", "archive"),
        r"(?:\.(?:zip|7z|rar)\b|\b(?:extract|unzip|unpack|decompress|unarchive)\b"
        r"|\barchive\b)[^\n]{0,200}?(?:\n[^\n]{0,100}?)?"
        r"\b(?:(?:pass(?:word|phrase|code|wd)?|pw)\b[*_]{0,2}\s*(?:is|=|:)[\s*_]{0,4}[`\"'*]{0,3}(?!none|required|optional|str"
        r"|the\b|your\b|a\b|if\b|when\b)"
        rf"[{_LETTERS}!@#$%-]{{3,40}}(?:[`\"'*.),]|\s*$|\s+(?:and|to|then)\b)|pass(?:word|phrase|code"
        rf"|wd)\s*(?:[`\"'][{_LETTERS}!@#$%-]{{3,40}}[`\"']|\*\*(?=[^*\n]*\d)[{_LETTERS}!@#$%-]{{3,40}}\*\*))",
    ),
    (
        Told.READ_SECRETS,
        _KEY_WORDS,
        (),
        rf"\b{_READERS}\s[^\n|;&#]{{0,120}}?{_KEY_FILE}|<\s*[\"']?{_HOME}[/\\]{_KEY_FILE}"
        rf"|\b(?:open|read_text|read_bytes|readfile(?:sync)?|expanduser|file_get_contents"
        rf"|readalltext)\s*\([^\n]{{0,120}}?{_KEY_FILE}|\bpath\(\s*[\"'][^\n\"']{{0,80}}?{_KEY_FILE}"
        rf"|path\.home\(\)[^\n]{{0,60}}?{_KEY_FILE}"
        rf"|\b{_DONE}(?:read|include|send|upload|collect|attach|print|output|paste|exfiltrate|steal)\s+(?:the\s+)?"
        rf"(?:contents?\s+of\s+|files?\s+(?:in|from|at)\s+)?[`\"']?(?:{_HOME}[/\\])?{_KEY_FILE}",
    ),
    (
        Told.READ_SECRETS,
        (
            "find-generic",
            "find-internet",
            "dump-keychain",
            "security export",
            "secret-tool",
            "cmdkey",
            "vaultcmd",
            "export-secret",
            "aws_secret_access_key",
        ),
        (),
        r"\bsecurity\s+(?:find-(?:generic|internet)-password|dump-keychain|export\b)|\bsecret-tool\s+(?:lookup|search)\b"
        r"|\bcmdkey\s+/list|\bvaultcmd\s+/list|\bgpg2?\s[^\n]{0,60}--export-secret-(?:sub)?keys?\b"
        r"|\bconfigure\s+get\s+[^\n]{0,40}aws_secret_access_key\b",
    ),
    (
        Told.READ_SECRETS,
        ("os.environ", "process.env"),
        (),
        r"\bjson\.dumps\(\s*(?:dict\(\s*)?(?:\*\*)?os\.environ\s*[),]|\bjson\.stringify\(\s*process\.env\s*[),]"
        r"|\bos\.environ\.items\(\)[^\n]{0,120}(?:key|token|secret|pass)|\bobject\.(?:entries|keys)\(\s*process\.env\s*\)"
        r"[^\n]{0,120}(?:key|token|secret|pass)",
    ),
    (
        Told.SEND_SECRETS,
        _NET_WORDS,
        ("|",),
        rf"(?:(?:^|(?<=[\s;&(`\"']))(?:env|printenv|export\s+-p|declare\s+-[px])\s*"
        rf"|(?:^|(?<=[;&(`\"'$]))[ \t]{{0,8}}set\s*"
        rf"|\b{_READERS}\s[^\n|]{{0,160}}{_KEYS_OR_VALUES}[^\n|]{{0,80}})"
        rf"\|&?{_STAGES}\s*(?:sudo\s+)?{_NET}\s",
    ),
    (
        Told.SEND_SECRETS,
        _NET_WORDS,
        (*_KEY_WORDS, ".env", "passwd", "secret", "secrets"),
        rf"\b{_NET}\s[^\n]{{0,400}}(?:(?<=\s)(?:-d|--data(?:-\w{{1,10}})?|-F|--form|-T|--upload-file|--post-file|-infile)"
        rf"|<)[ =]*[\"']?(?:[{_LETTERS}]{{1,40}}=)?[@<]?[{_LETTERS}./~$\{{}}%:\\-]{{0,60}}?{_KEYS_OR_VALUES}",
    ),
    (
        Told.SEND_SECRETS,
        _NET_WORDS,
        ("$", "`"),
        rf"\b{_NET}\s[^\n]{{0,400}}(?:\$\(|`)\s*(?:sudo\s+)?(?:(?:env|printenv)\b"
        rf"|(?:{_READERS})\s[^\n)]{{0,120}}{_KEYS_OR_VALUES})",
    ),
    (
        Told.SEND_SECRETS,
        (".environ", ".env", *_KEY_WORDS),
        (".post", ".put", ".get", ".request", ".urlopen", "fetch"),
        r"\b(?:requests|httpx|session|client|aiohttp|urllib\.request|axios|http|got)\.(?:post|put|get|request"
        r"|urlopen)\s*\("
        rf"[^\n]{{0,300}}(?:os\.environ(?!\s*[.\[])|os\.environ\.copy|process\.env(?!\s*[.\[\w])|{_KEY_FILE}"
        rf"|[\"'/]\.env[\"'])"
        r"|\bfetch\s*\([^\n]{0,400}json\.stringify\(\s*process\.env\s*\)",
    ),
    (
        Told.SEND_SECRETS,
        ("send", "upload", "post", "transmit", "exfiltrate", "forward", "submit", "email"),
        (
            *_KEY_WORDS,
            ".env",
            "environment variables",
            "key",
            "keys",
            "apikey",
            "apikeys",
            "api_key",
            "api_keys",
            "history",
            "seed phrase",
            "seed phrases",
            "token",
            "tokens",
            "secret",
            "secrets",
            "credential",
            "password",
            "passwords",
            "cookie",
        ),
        rf"\b{_DONE}(?:send|upload|post|transmit|exfiltrate|forward|submit"
        rf"|email)\b[^\n.]{{0,120}}?(?:(?:{_HOME}[/\\])?{_KEY_FILE}"
        r"|(?<!\w)\.env\b|\benvironment variables\b|\b(?:private|ssh) keys?\b|\b(?:conversation|chat) history\b"
        r"|\bseed phrase"
        r"|\b(?:all|user's|their|stored|saved)\s+(?:of\s+the\s+)?(?:api[ _-]?keys?|tokens?|credentials?|passwords?"
        rf"|secrets?|cookies))[^\n]{{0,160}}?{_TO}",
    ),
    (
        Told.REMOTE_SHELL,
        ("/dev/tcp", "/dev/udp", *_NET_WORDS, "dup2", "mkfifo", "fsockopen", "sockaddr_in", "tcpclient", "tcpsocket"),
        (),
        r"\b(?:ba|z|k)?sh\s+-i\b[^\n]{0,60}(?:/dev/(?:tcp|udp)/|\|\s*(?:nc|ncat|netcat|openssl)\b)"
        r"|\b(?:fsockopen|sockaddr_in)\b[^\n]{0,300}/bin/(?:ba|z)?sh\b|\btcpsocket\.\w{1,8}\([^\n]{0,300}/bin/(?:ba|z)?sh\b"
        r"|\btcpclient\([^\n]{0,600}\b(?:iex|invoke-expression)\b"
        r"|\bexec\s+\d+<>\s*/dev/tcp/[^\n]{0,200}\b(?:ba)?sh\b"
        r"|\b(?:nc|ncat|netcat)\b[^\n|]{0,80}\s(?:-\w*e|-c|--exec|--sh-exec)\s+[\"']?\S{0,40}(?:sh|cmd(?:\.exe)?"
        r"|powershell)\b|\bsocat\b[^\n]{0,160}\bexec:|\bos\.dup2\([^\n]{0,300}(?:pty\.spawn|/bin/(?:ba|z)?sh)",
    ),
)
PLACES = (
    ("]:", r"^\[[^\]\n]{1,40}\]:\s*(?:#|<>)\s*[(\"']([^\n]{1,4000})[)\"']\s*$"),
    (
        "<",
        r"<(?:div|span|p|section|td)\b[^>]{0,200}(?:display:\s*none|visibility:\s*hidden|(?:font-size|opacity|height|width):\s*0"
        r"|[\"';\s]color:\s*(?:white|transparent|#fff(?:fff)?)\b"
        r"|\shidden\b)[^>]{0,200}>([\s\S]{1,4000}?)</",
    ),
)
FENCE = r"^ {0,3}(`{3,}|~{3,})"
REVIEWED = r"\b(?:less|more|cat|view|inspect|review|vim|nano|sha\d+sum|shasum|gpg|cosign)\b"

# a backslash, or a backtick of PowerShell after a space; a pipe or && at the end; a pipe at the start of a line that is
# no row of a table. The class in front says where to look: it makes the search six times as fast.
CONTINUED = (
    r"[\\`|&\r\n](?:(?<=\\)\r?\n[ \t]*|(?<=[ \t]`)\r?\n[ \t]*|(?<=[|&])[ \t]*\r?\n[ \t]*(?![|\s])"
    r"|(?:(?<=\n)|(?<=\r)\n)[ \t]*(?=\|[ \t]*[\w/.]{2}[^\n|]{0,200}(?:\n|\Z)))"
)
