/**
 * Command: what policy can know of a shell command without running it.
 * A text pattern on a command line is a convenience, not a border: the border is the sandbox. Hence two questions with opposite caution.
 *   POL-11.1  A command is simple only if a POSIX shell takes it as one command with fixed words: no operator, redirection, expansion,
 *             of a variable, substitution, comment, assignment, keyword, newline or control byte; globs may stand in arguments only.
 *   POL-11.2  subCommands() holds, for every command the line may start, each of its leading word runs with quotes removed and the
 *             program without its folder; commands behind wrappers (`sudo`, `env`, `sh -c`, `xargs` …) are among them.
 *   POL-11.3  Where the next word cannot be known before it runs, subCommands() holds the known words and `*`: `*`, `git *`.
 */

/** What makes a line more than one command with fixed words, outside quotes. */
const special = new Set("|&;<>()$`\n\r#*?[]{}~!=^%".split(""));

/** Of these, what is harmless inside one command: it names files, options or settings and starts nothing. */
const harmless = new Set("*?[]{}~=^%#".split(""));

export function isSimpleCommand(command: string): boolean {
  let quote = "";
  let words = 0;
  let inWord = false;
  let word = "";
  for (let at = 0; at < command.length; at += 1) {
    const char = command[at] ?? "";
    if (isControl(char) && char !== "\t") return false;
    if (quote === "'") {
      if (char === "'") quote = "";
      continue;
    }
    if (char === "\\") {
      if (at + 1 >= command.length || isControl(command[at + 1] ?? "")) return false;
      at += 1;
      inWord = true;
      continue;
    }
    if (quote === '"') {
      if (char === '"') quote = "";
      else if (char === "$" || char === "`" || char === "!") return false;
      continue;
    }
    if (char === " " || char === "\t") {
      if (inWord) words += 1;
      inWord = false;
      continue;
    }
    if (special.has(char) && (words === 0 || !harmless.has(char))) return false;
    if (char === "#" && !inWord) return false;
    if (words === 0) word += char;
    if (char === "'" || char === '"') quote = char;
    inWord = true;
  }
  return quote === "" && (inWord || words > 0) && !keywords.has(word);
}

/** C0, DEL, C1, and the separators and direction marks that a reader does not see. */
function isControl(char: string): boolean {
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/.test(char);
}

const keywords = new Set([
  "if",
  "then",
  "else",
  "elif",
  "fi",
  "do",
  "done",
  "while",
  "until",
  "for",
  "case",
  "esac",
  "select",
  "function",
  "time",
  "coproc",
  "in",
]);

/** Programs that run the program named in their arguments. What follows at any word may be a command. */
const wrappers = new Set(
  "sudo doas su env nohup nice ionice time timeout xargs exec command builtin eval stdbuf setsid watch parallel find busybox chroot unshare nsenter strace ltrace flock ssh script sh bash dash zsh ksh ash fish npx bunx pnpm yarn docker podman bwrap trap source . coproc".split(
    " ",
  ),
);

/** How deep lines of shell inside arguments are read. */
const depthMax = 3;
/** No deny pattern has more words, so longer runs need not be known. */
export const patternWordsMax = 32;
const runsMax = 4_096;
const lengthMax = 16_384;
/** Characters read in all, over every reading of every part of a line. */
const workMax = 16 * lengthMax;
const substitutionsMax = 64;

export function subCommands(command: string): readonly string[] {
  const search: Search = { found: new Set(), work: workMax };
  collect(command, search, 0);
  return [...search.found].sort();
}

/** Beyond a bound nothing is known for certain any more, so the search ends with `*`. */
interface Search {
  readonly found: Set<string>;
  work: number;
}

function spent(search: Search): boolean {
  if (search.work > 0 && search.found.size < runsMax) return false;
  search.found.add("*");
  return true;
}

function collect(text: string, search: Search, depth: number): void {
  if (text.length > lengthMax) search.work = 0;
  for (const words of commandsOf(text, search)) {
    const start = words.findIndex(
      (word) => !keywords.has(word.text) && !/^[A-Za-z_]\w*\+?=/.test(word.text) && word.text !== "!",
    );
    const head = words[start];
    if (head === undefined) continue;
    addRuns(words.slice(start, start + patternWordsMax), search);
    if (!wrappers.has(baseName(head.text))) continue;
    for (let at = start + 1; at < words.length && !spent(search); at += 1) {
      addRuns(words.slice(at, at + patternWordsMax), search);
      const inner = words[at]?.text ?? "";
      if (!/[\s;|&<>()$`]/.test(inner)) continue;
      if (depth >= depthMax) search.found.add("*");
      else collect(inner, search, depth + 1);
    }
  }
}

/** A word that is expanded may vanish, so the runs go on without it. */
function addRuns(words: readonly Word[], { found }: Search): void {
  let run = "";
  for (const word of words) {
    if (word.dynamic) {
      found.add(run === "" ? "*" : `${run} *`);
      continue;
    }
    if (run === "") found.add(word.text);
    run = run === "" ? baseName(word.text) : `${run} ${word.text}`;
    found.add(run);
  }
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

interface Word {
  readonly text: string;
  /** Holds an expansion or a substitution: its text is known only when it runs. */
  readonly dynamic: boolean;
}

/**
 * The commands of a text and of every substitution in it. A substitution is read from its start to the end of the text, with fresh
 * quotes: that adds commands which do not exist, and never misses one.
 */
function commandsOf(text: string, search: Search): readonly (readonly Word[])[] {
  const starts = new Map<number, boolean>([[0, false]]);
  const all: (readonly Word[])[] = [];
  for (const [start, ticked] of starts) {
    if (spent(search)) break;
    search.work -= text.length - start;
    const scan = new Scan(text, start, ticked);
    all.push(...scan.run());
    for (const [inner, tick] of scan.substitutions) if (starts.size <= substitutionsMax) starts.set(inner, tick);
    if (scan.processSubstitution || starts.size > substitutionsMax) search.found.add("*");
  }
  return all;
}

/** One reading of a line by a shell's rules of quoting. Every operator and newline ends a command; redirections are left out. */
class Scan {
  /** Where each begins, and whether a backtick ends it. */
  readonly substitutions: (readonly [number, boolean])[] = [];
  processSubstitution = false;
  readonly #text: string;
  readonly #ticked: boolean;
  readonly #all: Word[][] = [];
  #at: number;
  #words: Word[] = [];
  #word = "";
  #inWord = false;
  #dynamic = false;
  #skipWord = false;
  #quote = "";

  constructor(text: string, start: number, ticked: boolean) {
    this.#text = text;
    this.#ticked = ticked;
    this.#at = start;
  }

  run(): readonly (readonly Word[])[] {
    for (; this.#at < this.#text.length; this.#at += 1) this.#step(this.#text[this.#at] ?? "", this.#text[this.#at + 1] ?? "");
    this.#endCommand();
    return this.#all;
  }

  #step(char: string, next: string): void {
    if (this.#quote === "'") {
      if (char === "'") this.#quote = "";
      else this.#take(char, false);
    } else if (char === "\\") this.#escape(next);
    else if (char === '"') {
      this.#quote = this.#quote === '"' ? "" : '"';
      this.#take("", false);
    } else if (char === "`" && this.#ticked) this.#endCommand();
    else if (char === "`" || (char === "$" && next === "(")) {
      const length = char === "`" ? 1 : 2;
      if (this.substitutions.length <= substitutionsMax) this.substitutions.push([this.#at + length, char === "`"]);
      this.#take("", true);
    } else if (char === "$") this.#take(char, true);
    else if (this.#quote === '"') this.#take(char, false);
    else if (char === "'") {
      this.#quote = "'";
      this.#take("", false);
    } else this.#unquoted(char, next);
  }

  #unquoted(char: string, next: string): void {
    if (char === " " || char === "\t") this.#endWord();
    else if (char === "<" || char === ">" || (char === "&" && next === ">")) this.#redirect(next);
    else if (";|&()\n\r".includes(char)) this.#endCommand();
    else if ((char === "{" || char === "}") && !this.#inWord && (next === " " || next === "\n" || next === ""))
      this.#endCommand();
    else this.#take(char, (char === "{" && next !== "}") || (this.#words.length === 0 && "*?[~".includes(char)));
  }

  #escape(next: string): void {
    this.#at += 1;
    if (next === "\n") return;
    if (this.#quote === '"' && !'"\\$`'.includes(next)) this.#take("\\", false);
    this.#take(next, false);
  }

  /** `2> file`, `>& 1`, `<<< word`: neither the descriptor nor the target is a word of the command. */
  #redirect(next: string): void {
    if (/^[0-9]+$/.test(this.#word)) [this.#word, this.#inWord] = ["", false];
    this.#endWord();
    if (next === "(") {
      this.processSubstitution = true;
      return;
    }
    while ("<>&|-".includes(this.#text[this.#at + 1] ?? " ")) this.#at += 1;
    this.#skipWord = true;
  }

  #take(char: string, dynamic: boolean): void {
    this.#word += char;
    this.#inWord = true;
    if (dynamic) this.#dynamic = true;
  }

  #endWord(): void {
    if (!this.#inWord) return;
    if (!this.#skipWord) this.#words.push({ text: this.#word, dynamic: this.#dynamic });
    [this.#word, this.#inWord, this.#dynamic, this.#skipWord] = ["", false, false, false];
  }

  #endCommand(): void {
    this.#endWord();
    this.#skipWord = false;
    if (this.#words.length > 0) this.#all.push(this.#words);
    this.#words = [];
  }
}
