/** `enrich from-home-assistant`: the settings of Home Assistant's `influxdb` integration, as those of enrich. */
import { join } from "node:path";
import { argumentsOf, type CommandOutput, complainOf, WrongUse } from "../../program/command.ts";
import type { Environment } from "../../settings/settings_reader.ts";
import { CA_FILE, ENV_FILE, type Takeover, takeoverOf, YAML_FILE } from "./takeover.ts";

/** In the working directory: what Compose gives to enrich, too. */
const FOLDER = "config";

const HELP =
  `enrich from-home-assistant: takes over the settings of Home Assistant's influxdb integration.

Usage: enrich from-home-assistant FOLDER

FOLDER is the one that configuration.yaml is in. Of it the block influxdb: is read, with what
packages add to it, and the connection, which since 2026.3 stands in .storage/core.config_entries.
Nothing in it is changed, and no running program reads it. Written are, in the folder ${FOLDER} here:

  ${YAML_FILE}     what is kept and how it is named, for CONFIG_FILE
  ${ENV_FILE}      the lines for .env, with the password or token: only you may read it
  ${CA_FILE}   the certificate's authority, where there is one

What is there already is not written over. Exit status: 0 written, 1 there is nothing to take over
or it cannot be written, 2 it was asked wrong or the files are faulty.`;

/** Runs the command. Returns its exit status. `into` is the folder that is written to. */
export function fromHomeAssistant(
  args: readonly string[],
  readEnvironment: () => Environment,
  output: CommandOutput,
  into = FOLDER,
): Promise<number> {
  try {
    const known = { help: { type: "boolean", short: "h" } } as const;
    const { values, positionals } = argumentsOf({
      args: [...args],
      options: known,
      allowPositionals: true,
    });
    if (values.help) return output.write(`${HELP}\n`), Promise.resolve(0);
    const [folder, more] = positionals;
    if (folder === undefined || more !== undefined) {
      throw new WrongUse(
        "Name the folder that Home Assistant's configuration.yaml is in, and no more",
      );
    }
    const takeover = takeoverOf(folder, into, readEnvironment());
    if (!takeover) {
      throw new Error(
        `In ${folder} neither a block influxdb: nor an entry of the integration is found: there is ` +
          "nothing to take over",
      );
    }
    const written = write(takeover, into);
    output.write(reportOf(takeover, written, join(into, ENV_FILE)));
    return Promise.resolve(0);
  } catch (error) {
    return Promise.resolve(complainOf(error, output));
  }
}

/** Writes the files, all of which are new. Returns their paths. Throws an Error that names the one in the way. */
function write({ yaml, env, caCert }: Takeover, into: string): string[] {
  const files = [
    { name: YAML_FILE, text: yaml, mode: 0o644 },
    ...(caCert === undefined ? [] : [{ name: CA_FILE, text: caCert, mode: 0o644 }]),
    { name: ENV_FILE, text: env, mode: 0o600 },
  ].map((file) => ({ ...file, path: join(into, file.name) }));
  const present = files.map(({ path }) => path).filter(isTaken);
  if (present.length > 0) {
    throw new WrongUse(
      `There already, and not written over: ${
        present.join(", ")
      }. Move it away, and run this again`,
    );
  }
  Deno.mkdirSync(into, { recursive: true });
  for (const { path, text, mode } of files) {
    Deno.writeTextFileSync(path, text, { createNew: true, mode });
  }
  return files.map(({ path }) => path);
}

/** Also by a link that leads nowhere, through which nothing is written. */
function isTaken(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function reportOf(
  { found, left, todo }: Takeover,
  written: readonly string[],
  env: string,
): string {
  const list = (title: string, lines: readonly string[]) =>
    lines.length > 0 ? `${title}\n${lines.map((line) => `  ${line}\n`).join("")}\n` : "";
  const steps = [
    ...todo,
    `Add the lines of ${env}, which hold what is secret, to your .env: cat ${env} >> .env`,
    "enrich check says whether InfluxDB takes points",
    "The integration goes on until its entry is deleted under Devices & services and influxdb: is " +
    "out of the YAML files: docs/migration.md says when",
  ].map((step, index) => `${index + 1}. ${step}`);
  return list("Found", found) + list("Written", written) +
    list("Left out, or to be looked at", left) +
    list("To do", steps).trimEnd() + "\n";
}
