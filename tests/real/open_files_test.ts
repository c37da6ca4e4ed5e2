import assert from "node:assert/strict";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { freePort } from "./parts/free_port.ts";
import { Process } from "./parts/process.ts";
import { realTest } from "./parts/real_test_case.ts";

const FILES = 200;
const ENRICH = new URL("../../enrich.ts", import.meta.url).pathname;

realTest(
  "Enrich listens again after connections have taken all files that it may open",
  async () => {
    using folder = new TemporaryFolder();
    const port = freePort();
    const address = { hostname: "127.0.0.1", port };
    const env = `DATA_DIR=${folder.path} ENRICH_PORT=${port}`;
    const flags = "--no-prompt --allow-net --allow-env --allow-read --allow-write --allow-sys";
    const run = `ulimit -n ${FILES}; ${env} exec ${Deno.execPath()} run ${flags} ${ENRICH}`;
    await using enrich = new Process("enrich", ["bash", "-c", run]);
    const isReady = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/health`);
      await response.body?.cancel();
      return response.ok;
    };
    await until(isReady, "it is ready");
    const held: Deno.Conn[] = [];
    try {
      // each of them says nothing, which Deno.serve waits for without end
      while (held.length < 2 * FILES) held.push(await Deno.connect(address));
    } catch (error) {
      // refused once nobody listens, or reset where it was in the queue then
      const { ConnectionRefused, ConnectionReset } = Deno.errors;
      assert.ok(
        error instanceof ConnectionRefused || error instanceof ConnectionReset,
        String(error),
      );
    }
    await until(() => /No connection can be taken/.test(enrich.output), "it says so");
    for (const connection of held) connection.close();
    await until(isReady, "it is ready again");
    assert.equal(await enrich.stop(), 0);
  },
);
