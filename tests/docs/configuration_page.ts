/** docs/configuration.md, made of the schemas that parse the settings: `deno task docs` writes it. */
import { secretRows, type SettingRow, settingRows } from "../../lib/settings/settings_help.ts";

export const CONFIGURATION_PAGE = new URL("../../docs/configuration.md", import.meta.url);

const HEAD = `# Configuration

_Made of the schemas that parse the settings: do not edit, run \`deno task docs\`._

Settings are environment variables, or lines of a file \`.env\` in the working directory, where the
environment wins. One that is set to nothing counts as not set. What is wrong is named, all at once,
before anything is opened, with exit status 2; a name that only looks like one of these is warned
of. \`ingest check\` and \`enrich check\` try what they name.`;

const SECRETS =
  `Each secret is given in one of three ways: by itself, as a file (\`HASS_TOKEN_FILE=/path\`), or as a
credential of systemd (a file of its name in \`$CREDENTIALS_DIRECTORY\`). A file is read again at each
use, so that a corrected one needs no restart; while it cannot be read, what it held last is used,
and health says so. Headers go one a line; in \`.env\` in double quotes, with \`\\n\` between two.
\`SERVICE_TOKEN\` is required where ingest or enrich listens beyond this machine. In a Home Assistant
app (add-on) ingest needs neither \`HASS_URL\` nor \`HASS_TOKEN\`.`;

const FILE =
  `[The configuration file](config-file.md), \`CONFIG_FILE\`, says which entities and attributes are
stored, and how SCHEMA=homeassistant names them.`;

/** The page's text, as \`deno fmt\` leaves it. */
export function configurationPage(): string {
  const [ingest, enrich] = [settingRows("ingest"), settingRows("enrich")];
  const isShared = ({ name }: SettingRow) => ingest.some((one) => one.name === name);
  const secrets = new Map(
    [...secretRows("ingest"), ...secretRows("enrich")].map((row) => [row.name, row]),
  );
  return [
    HEAD,
    "## Both programs",
    table(enrich.filter(isShared)),
    "## Ingest",
    table(ingest.filter(({ name }) => !enrich.some((one) => one.name === name))),
    "## Enrich",
    table(enrich.filter((row) => !isShared(row))),
    FILE,
    "## Secrets",
    SECRETS,
    table([...secrets.values()]),
  ].join("\n\n") + "\n";
}

function table(rows: readonly SettingRow[]): string {
  const hasStandard = rows.some(({ standard }) => standard !== undefined);
  const cells = [
    ["setting", "is", "where it is not set"],
    ...rows.map(({ name, help, standard }) => [
      `\`${name}\``,
      help,
      standard === undefined ? "" : `\`${standard}\``,
    ]),
  ].map((row) => hasStandard ? row : row.slice(0, 2));
  const widths = cells[0]?.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0))) ??
    [];
  const lines = cells.map((row) => line(row.map((cell, i) => cell.padEnd(widths[i] ?? 0))));
  return [lines[0], line(widths.map((width) => "-".repeat(width))), ...lines.slice(1)].join("\n");
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

if (import.meta.main) Deno.writeTextFileSync(CONFIGURATION_PAGE, configurationPage());
