import assert from "node:assert/strict";
import { listeningFault } from "../../lib/serve/listening_fault.ts";

Deno.test("What keeps a program from listening is one sentence with the setting and what to do", () => {
  const at = { host: "::1", port: 80, setting: "INGEST_HOST and INGEST_PORT" };
  const { AddrInUse, AddrNotAvailable, PermissionDenied } = Deno.errors;
  const resolver = "failed to lookup address information: Name or service not known";
  for (
    const [error, said] of [
      [
        new AddrInUse("os error 98"),
        "the port is taken; end what listens there, or set INGEST_PORT to another",
      ],
      [
        new AddrNotAvailable("os error 99"),
        "this machine has no such address; correct INGEST_HOST",
      ],
      [
        new PermissionDenied("os error 13"),
        "the system does not permit it; set INGEST_PORT to one above 1023",
      ],
      [new Error(resolver), "that name is not found; correct INGEST_HOST"],
      [new Error("Too many (os error 24)"), "Too many; correct INGEST_HOST and INGEST_PORT"],
    ] as const
  ) {
    assert.equal(listeningFault(error, at), `Cannot listen on [::1]:80: ${said}`);
  }
});
