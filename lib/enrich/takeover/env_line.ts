/** A line of an `.env`, as every program that reads one takes it: these programs, Compose, systemd. */

/** What needs no quotes, and is read alike by all. */
const PLAIN = /^[\w./:@%+,=~-]*$/;

/** `NAME=value`, quoted where that is needed. Undefined where no quotes make all of them read the same value. */
export function envLine(name: string, value: string): string | undefined {
  if (PLAIN.test(value)) return `${name}=${value}`;
  if (/[\r\n\0]/.test(value)) return undefined;
  // a backslash at the end, or before another, is taken for a sign of its own by some, and ${ for
  // a variable by podman-compose, whatever the quotes
  if (!value.includes("'") && !/\\(?:\\|$)|\$\{/.test(value)) return `${name}='${value}'`;
  return /["\\$`]/.test(value) ? undefined : `${name}="${value}"`;
}
