/** `ingest check` and `enrich check`, as they are typed. */
import { TemporaryFolder } from "../../temporary.ts";
import { Process } from "./process.ts";
import type { Environment } from "./programs.ts";

export const root = new URL("../../../", import.meta.url).pathname;

export interface Checked {
  readonly status: number;
  readonly lines: readonly string[];
}

/** Runs it through the tasks' runner, with the permissions that this gives it. */
export function check(words: string, env: Environment): Promise<Checked> {
  const permissions = ["--allow-net=127.0.0.1", "--allow-read", `--allow-run=${Deno.execPath()}`];
  return run([...permissions, `${root}start.ts`, ...words.split(" ")], env);
}

/** `under`: a command that becomes Deno. */
export async function run(
  args: readonly string[],
  env: Environment,
  under: readonly string[] = [],
): Promise<Checked> {
  using folder = new TemporaryFolder();
  const words = [
    ...under,
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-env",
    ...args,
  ];
  const ports = { INGEST_PORT: "0", ENRICH_PORT: "0", DATA_DIR: folder.path };
  await using process = new Process("check", words, { cwd: root, env: { ...ports, ...env } });
  const { code } = await process.ended();
  return { status: code, lines: process.output.trimEnd().split("\n") };
}

/** The lines that are not ok. */
export function faultsOf({ lines }: Checked): string[] {
  return lines.filter((line) => !line.startsWith("ok "));
}
