/** What real InfluxDBs answered, word for word, see tests/fixtures/README.md. */

export interface RecordedAnswer {
  /** What was asked: `unknown bucket, empty body`, … */
  readonly name: string;
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export type RecordedRelease = "1.6.7" | "1.13.2" | "2.7.12" | "2.9.1";

/** The answers of that release, in the order in which they were asked for. */
export function recordedAnswers(release: RecordedRelease): readonly RecordedAnswer[] {
  const file = new URL(`../../fixtures/influxdb/influxdb-${release}.txt`, import.meta.url);
  const [, ...sections] = Deno.readTextFileSync(file).split(/^### /m);
  return sections.map((section) => {
    // an interim answer (100 Continue) may come before
    const match =
      /^(.*)\n[\s\S]*?^HTTP\/1\.1 (?!100)(\d+) .*\n((?:.+\n)*)\n([\s\S]*)\n\[curl exit 0\]/m
        .exec(section);
    if (!match) throw new Error(`Cannot read the recording of ${release}: ${section}`);
    const [, name = "", status, head = "", body = ""] = match;
    const headers = new Map(
      head.trimEnd().split("\n").map((line) => {
        const [, key = "", value = ""] = /^([^:]+): *(.*)$/.exec(line) ?? [];
        return [key.toLowerCase(), value] as const;
      }),
    );
    return { name, status: Number(status), headers, body: body.trimEnd() };
  });
}
