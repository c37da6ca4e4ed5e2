import assert from "node:assert/strict";
import { redact, rememberSecret } from "../lib/log.ts";

Deno.test("redact hides a secret wherever it stands", () => {
  rememberSecret("s3cret/token+");
  assert.equal(redact("a s3cret/token+ b s3cret/token+"), "a *** b ***");
});

Deno.test("redact does not take a short text for a secret: it would hide half the log", () => {
  rememberSecret("on");
  assert.equal(redact("connection"), "connection");
});

Deno.test("redact hides what looks like a secret: bearers, tokens in queries, passwords in URLs", () => {
  assert.equal(redact("Authorization: Bearer abcdef.ghijkl"), "Authorization: Bearer ***");
  assert.equal(
    redact("/api/camera?x=1&access_token=abc&y=2"),
    "/api/camera?x=1&access_token=***&y=2",
  );
  assert.equal(redact("http://me:pass@host/x"), "http://***@host/x");
});
