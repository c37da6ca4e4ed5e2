/** Certificates of servers: whom to trust besides the usual authorities, and what is wrong with one. */

/** The longest file of certificates, in bytes: every authority that the world knows takes a quarter of a megabyte. */
export const MAX_CERTIFICATES_BYTES = 10_000_000;

/**
 * A client for fetch and WebSocket that trusts the PEM text's authorities, too. Throws an Error
 * that says, for the end of a sentence, what is wrong with the text.
 */
export function clientTrusting(pem: string): Deno.HttpClient {
  // a text without any is taken without a word
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) throw new Error("it holds no certificate");
  return Deno.createHttpClient({ caCerts: [pem] });
}

/** What a client's error says of a server's certificate. */
export interface CertificateFault {
  /** Goes behind the certificate's name: `is not trusted (UnknownIssuer)`. */
  readonly state: string;
  /** What to do. */
  readonly wish: string;
}

/**
 * What is wrong with a server's certificate, of the words of rustls below fetch and WebSocket;
 * undefined where they speak of none. `url` and `authority` name the settings that lead to the
 * server, and to the authorities to trust.
 */
export function certificateFault(
  reason: string,
  { url, authority }: { readonly url: string; readonly authority: string },
): CertificateFault | undefined {
  const words = /invalid peer certificate: (.*)/.exec(reason)?.[1];
  if (words === undefined) return undefined;
  if (/CaUsedAsEndEntity/.test(words)) {
    return {
      state: "is an authority's own, which no server may show",
      wish: `make it one with basicConstraints "CA:FALSE", and set ${authority} to that`,
    };
  }
  const name = /not valid for name "([^"]*)"/.exec(words)?.[1];
  if (name !== undefined) {
    const names = namesIn(/only valid for (.*)/.exec(words)?.[1] ?? "");
    return names === ""
      ? {
        state: `names no server, so that it is not for ${name}`,
        wish: "make one that names it as subjectAltName",
      }
      : {
        state: `is made for ${names}, not for ${name}`,
        wish: `set ${url} to a name that it is made for`,
      };
  }
  const wish = /Unknown|BadSignature/.test(words)
    ? `set ${authority} to the certificate of the authority that signed it`
    : /not valid yet/.test(words)
    ? "check this machine's clock"
    : "renew it";
  return { state: `is not trusted (${words})`, wish };
}

const MAX_NAMES_CHARS = 200;

/** `localhost or 192.168.1.10` of `DnsName("localhost") or IpAddress(192.168.1.10)`. */
function namesIn(words: string): string {
  const names = words.replace(/\w+\("?([^")]*)"?\)/g, "$1");
  return names.length <= MAX_NAMES_CHARS ? names : `${names.slice(0, MAX_NAMES_CHARS)}…`;
}
