/** docs/performance.md, whose numbers the benchmark writes. */
import { dirname, join } from "node:path";

/** What stands between the page's markers of that name. */
export type PageSection = "rounds" | "loop" | "growth" | "slow-sync";

/**
 * The page with that text in the section's place, as it is. Throws where the page has no such section.
 */
export function withSection(page: string, section: PageSection, text: string): string {
  const [begin, end] = [`<!-- ${section} -->`, `<!-- end of ${section} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`The page has no section ${begin} … ${end}`);
  return `${page.slice(0, from + begin.length)}\n\n\`\`\`text\n${text}\n\`\`\`\n\n${
    page.slice(to)
  }`;
}

/** Writes a section of the page, and the plots into the folder beside it that has the page's name. */
export async function writeSection(
  path: string,
  section: PageSection,
  text: string,
  plots: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  await Deno.writeTextFile(path, withSection(await Deno.readTextFile(path), section, text));
  const folder = join(dirname(path), "performance");
  if (plots.size > 0) await Deno.mkdir(folder, { recursive: true });
  for (const [name, svg] of plots) await Deno.writeTextFile(join(folder, name), svg);
}
