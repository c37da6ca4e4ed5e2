/** One line that says what is being done: rewritten on a terminal, else one for each step. */
export class ProgressLine {
  readonly #isTerminal = Deno.stderr.isTerminal();
  #round = "";
  #within = "";
  #step = "";

  round(number: number, of: number): void {
    this.#round = of > 1 ? `round ${number} of ${of} · ` : "";
  }

  /** Whose turn it is. */
  within(name: string): void {
    this.#within = name && `${name} · `;
  }

  /** What stands before a colon is the step; what follows it changes. */
  say(text: string): void {
    const line = this.#round + this.#within + text;
    const step = line.split(":")[0] ?? line;
    if (this.#isTerminal) write(`\r\x1b[K${line}`);
    else if (step !== this.#step) write(`${step}\n`);
    this.#step = step;
  }

  end(): void {
    if (this.#isTerminal) write("\r\x1b[K");
  }
}

function write(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}
