/** README.md and docs/*.md, and what a test asks of them: links, code, tables by heading. */

const ROOT = new URL("../../", import.meta.url);

export interface Page {
  /** `docs/schema.md` */
  readonly path: string;
  readonly text: string;
}

export function page(path: string): Page {
  return { path, text: Deno.readTextFileSync(new URL(path, ROOT)) };
}

/** All pages that people read. */
export function pages(): readonly Page[] {
  const docs = [...Deno.readDirSync(new URL("docs/", ROOT))].map(({ name }) => `docs/${name}`);
  return ["README.md", "CONTRIBUTING.md", ...docs.filter((path) => path.endsWith(".md"))].map(page);
}

/** Whether the repository has the file or folder. */
export function exists(url: URL): boolean {
  try {
    Deno.statSync(url);
    return true;
  } catch {
    return false;
  }
}

/** The places that the page's links name, as URLs; those of this repository are `file:`. */
export function linksOf({ path, text }: Page): readonly URL[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)|<(https?:[^>\s]+)>/g)]
    .map(([, target, plain]) => new URL(target ?? plain ?? "", new URL(path, ROOT)));
}

/** What a link's `#` can name, as GitHub makes it of the headings. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...withoutBlocks(text).matchAll(/^#+ (.*)$/gm)];
  return new Set(
    headings.map(([, heading = ""]) =>
      heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    ),
  );
}

/** Everything that stands as code: spans, and the lines of blocks. */
export function codeOf(text: string): readonly string[] {
  const blocks = [...text.matchAll(/^ *```.*\n([^]*?)^ *```$/gm)].flatMap(([, block = ""]) =>
    block.split("\n").map((line) => line.trim())
  );
  return [...blocks, ...codeSpans(withoutBlocks(text))];
}

/** The blocks of code in that language. */
export function blocksOf(text: string, language: string): string[] {
  const blocks = text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"));
  return [...blocks].map(([, block = ""]) => block);
}

/** The text of each `code` in a line or cell. */
export function codeSpans(text: string): readonly string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code.replaceAll(/\s+/g, " "));
}

/** The rows of each table below the heading and before the next one, the head first. */
export function tablesUnder(text: string, heading: string): readonly (readonly string[][])[] {
  const section = text.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`There is no heading ${heading}`);
  return [...section.matchAll(/^(?:\|.*\|\n)+/gm)].map(([table]) =>
    table.trim().split("\n").filter((line) => !/^[|\s-]+$/.test(line))
      .map((line) => line.slice(1, -1).split("|").map((cell) => cell.trim()))
  );
}

function withoutBlocks(text: string): string {
  return text.replaceAll(/^ *```[^]*?^ *```$/gm, "");
}

function withoutCode(text: string): string {
  return withoutBlocks(text).replaceAll(/(?<!\[)`[^`]+`(?!\])/g, "");
}
