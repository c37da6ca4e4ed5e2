/** Globs, as Home Assistant has them: one text for many names. */

/** Whether a text that may be a name or a glob is one for more than a name. */
export function isGlob(text: string): boolean {
  return /[*?[]/.test(text);
}

/** A set like `[!a-c]`, where a `]` at its beginning stands for itself, or one character. */
const GLOB_PART = /\[(?:(!)|(?!!))(\][^\]]*|[^\]]+)\]|([^])/gu;
/** A range, or one character. */
const SET_PART = /([^])-([^])|([^])/gu;

/**
 * The pattern of a glob as Python's `fnmatch` reads it: the whole text, upper and lower case told
 * apart, `*` any characters, `?` any one, `[seq]` one of these and `[!seq]` one not of these.
 * As there, what stands between two `*` is found at its first place and not looked for again:
 * with many of them a text that does not match would take years.
 */
export function globPattern(glob: string): RegExp {
  const source = glob.replace(
    GLOB_PART,
    (_part, negated: string | undefined, set: string | undefined, character: string) => {
      if (set !== undefined) return setSource(set, negated !== undefined);
      return character === "*" ? "*" : character === "?" ? "." : escaped(character);
    },
  );
  const [begin = "", ...parts] = source.split(/\*+/);
  const end = parts.pop();
  const middle = parts.map((part, index) => `(?=(.*?${part}))\\${index + 1}`).join("");
  return new RegExp(`^${begin}${middle}${end === undefined ? "" : `.*${end}`}$`, "su");
}

function setSource(set: string, isNegated: boolean): string {
  const members = [...set.matchAll(SET_PART)].map(([, from, to, character]) => {
    if (from === undefined || to === undefined) return escaped(character ?? "");
    // nothing is in a range whose end is below its start
    return codePoint(from) > codePoint(to) ? "" : `${escaped(from)}-${escaped(to)}`;
  }).join("");
  return `[${isNegated ? "^" : ""}${members}]`;
}

function codePoint(character: string): number {
  return character.codePointAt(0) ?? 0;
}

function escaped(character: string): string {
  return /[\\^$.*+?()[\]{}|/-]/.test(character)
    ? `\\u{${codePoint(character).toString(16)}}`
    : character;
}
