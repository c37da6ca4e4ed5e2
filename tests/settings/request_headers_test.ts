import assert from "node:assert/strict";
import { redact } from "../../lib/log.ts";
import { requestHeaders } from "../../lib/settings/request_headers.ts";

Deno.test("requestHeaders takes one Name: value a line, whatever ends it, and hides each value", () => {
  const text =
    "\r\nCF-Access-Client-Id: abc.access\r\n\n  CF-Access-Client-Secret:\ts3cret: of it \n" +
    "Authorization: Basic dXNlcjpwYXNz\nCookie: a=b; c=d";
  assert.deepEqual([...requestHeaders("HASS_HEADERS", text)], [
    ["cf-access-client-id", "abc.access"],
    ["cf-access-client-secret", "s3cret: of it"],
    ["authorization", "Basic dXNlcjpwYXNz"],
    ["cookie", "a=b; c=d"],
  ]);
  assert.equal(redact("sent s3cret: of it to abc.access"), "sent *** to ***");
});

Deno.test("requestHeaders names the line of what is no header, and shows none of it", () => {
  const rows: [string, string][] = [
    ["A: b\nhunter2", "HASS_HEADERS, line 2 is no header: it must be Name: value"],
    ["\n\nA B: hunter2", "HASS_HEADERS, line 3 is no header: it must be Name: value"],
    [": hunter2", "HASS_HEADERS, line 1 is no header: it must be Name: value"],
    ["Ä: hunter2", "HASS_HEADERS, line 1 is no header: it must be Name: value"],
    ["X:", "HASS_HEADERS, line 1 has no value: give it one, or leave it out"],
    [
      "X: hunter2ß",
      "HASS_HEADERS, line 1 holds a character that no header has: use ASCII alone",
    ],
    [
      "X: hunter2\u0000",
      "HASS_HEADERS, line 1 holds a character that no header has: use ASCII alone",
    ],
    [
      "X: hunter2\\nY: hunter3",
      "HASS_HEADERS, line 1 holds \\n before another header: put it all in double quotes in an .env",
    ],
    ["X: a\nx: hunter2", "HASS_HEADERS, line 2 has the name of a line before: leave one out"],
  ];
  for (const [text, message] of rows) {
    assert.throws(() => requestHeaders("HASS_HEADERS", text), { message });
  }
});

Deno.test("requestHeaders takes none that the connection itself sends", () => {
  const names = [
    ...["Host", "connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade"],
    ...["Expect", "Accept-Encoding", "Content-Length", "Content-Type", "Content-Encoding"],
    ...["Proxy-Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol"],
  ];
  for (const name of names) {
    assert.throws(() => requestHeaders("INFLUXDB_HEADERS", `A: b\n${name}: hunter2`), {
      message: `INFLUXDB_HEADERS, line 2: ${name} is no header to be given: leave it out`,
    });
  }
  for (const name of ["Proxy-Authorization", "Origin", "User-Agent", "X-Host"]) {
    assert.equal(requestHeaders("INFLUXDB_HEADERS", `${name}: hunter2`).size, 1);
  }
});
