import assert from "node:assert/strict";
import { TemporaryFolder } from "../temporary.ts";

const PROGRAM = new URL("../../ingest.ts", import.meta.url).pathname;

/** What `ingest check` says of an .env in its working directory, and how it ends. */
async function saidOf(write: (path: string) => void): Promise<{ said: string; code: number }> {
  using folder = new TemporaryFolder();
  write(folder.file(".env"));
  const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-env", "--allow-read", PROGRAM, "check"],
    cwd: folder.path,
    stdin: "null",
    env: { INGEST_PORT: "many" },
  }).output();
  const decoder = new TextDecoder();
  const said = (decoder.decode(stdout) + decoder.decode(stderr)).replaceAll(folder.path, "FOLDER");
  return { said, code };
}

const ENV = "HASS_TOKEN=abc.def.ghi\nHASS_URL=http://127.0.0.1:18\n";
/** What is wrong where all of the .env is read. */
const READ = 'FAIL  INGEST_PORT is "many": it must be a whole number from 0 to 65535\n';

Deno.test("An .env may be what an editor of Windows saves as UTF-8", async () => {
  for (const text of [ENV, `\ufeff${ENV}`, `\ufeff${ENV.replaceAll("\n", "\r\n")}`]) {
    const { said, code } = await saidOf((path) => Deno.writeTextFileSync(path, text));
    assert.deepEqual([said, code], [READ, 2]);
  }
});

Deno.test("An .env that is a folder, or saved as UTF-16, is named with what to do", async () => {
  const folder = await saidOf((path) => Deno.mkdirSync(path));
  assert.deepEqual(folder, {
    said: "FAIL  .env in FOLDER must be a text file that can be read (it is a folder)\n",
    code: 2,
  });
  const utf16 = Uint8Array.from([...`\ufeff${ENV}`].flatMap((c) => {
    const code = c.charCodeAt(0);
    return [code & 0xff, code >> 8];
  }));
  const { said } = await saidOf((path) => Deno.writeFileSync(path, utf16));
  assert.equal(
    said,
    "FAIL  .env in FOLDER must be a text file that can be read " +
      "(it is saved as UTF-16: save it as UTF-8)\n",
  );
});
