import assert from "node:assert/strict";
import { certificateFault } from "../lib/certificates.ts";

const NAMES = { url: "HASS_URL", authority: "HASS_CA_FILE" };
const sentence = (words: string) => {
  const fault = certificateFault(`client error: invalid peer certificate: ${words}`, NAMES);
  return `${fault?.state}; ${fault?.wish}`;
};

Deno.test("certificateFault says what to do, of the words of rustls", () => {
  assert.equal(
    sentence(
      'certificate not valid for name "127.0.0.2"; certificate is only valid for ' +
        'IpAddress(127.0.0.1) or DnsName("localhost")',
    ),
    "is made for 127.0.0.1 or localhost, not for 127.0.0.2; set HASS_URL to a name that it is made for",
  );
  assert.equal(
    sentence(
      'certificate not valid for name "a.local"; certificate is not valid for any names ' +
        "(according to its subjectAltName extension)",
    ),
    "names no server, so that it is not for a.local; make one that names it as subjectAltName",
  );
  assert.equal(
    sentence("UnknownIssuer"),
    "is not trusted (UnknownIssuer); set HASS_CA_FILE to the certificate of the authority that signed it",
  );
  assert.equal(
    sentence("Other(OtherError(CaUsedAsEndEntity))"),
    "is an authority's own, which no server may show; make it one with basicConstraints " +
      '"CA:FALSE", and set HASS_CA_FILE to that',
  );
  assert.match(sentence("certificate expired: verification time 2"), /; renew it$/);
  assert.match(
    sentence("certificate not valid yet: verification time 1"),
    /; check this machine's clock$/,
  );
  assert.equal(certificateFault("connection refused", NAMES), undefined);
});

Deno.test("certificateFault cuts a list of names that has no end", () => {
  const many = Array.from({ length: 100 }, (_, i) => `DnsName("host${i}.example")`).join(", ");
  const said = sentence(
    `certificate not valid for name "x"; certificate is only valid for ${many}`,
  );
  assert.ok(said.length < 350, said);
  assert.match(said, /^is made for host0\.example, host1\.example, .*…, not for x; set HASS_URL/);
});
