/** Where lines are posted: by the version, and for 3 by what the server turns out to have. */
import type { InfluxDbPlace } from "./influxdb_admin.ts";
import { type Answer, readAnswer } from "./influxdb_answer.ts";
import type { InfluxDbHttp, InfluxDbRequest } from "./influxdb_http.ts";

const OWN_OF_3 = "/api/v3/write_lp";

export class WriteEndpoint {
  readonly #http: InfluxDbHttp;
  readonly #place: InfluxDbPlace;
  /** Of 3.x Cloud and Clustered have the endpoint of 2.x alone. */
  #isLikeVersion2 = false;
  /** Of the last answer: they tell what the server is. */
  headers = new Headers();
  /** Whether that was the endpoint that 3 alone has. */
  isOwnOf3 = false;

  constructor(http: InfluxDbHttp, place: InfluxDbPlace) {
    this.#http = http;
    this.#place = place;
  }

  /**
   * Posts lines. 3 gets them by its own endpoint, for by that of 2.x it stores none of them where it
   * refuses one, and from 3.5 on does not say which. Throws as InfluxDbHttp does.
   */
  async post(body: string, signal: AbortSignal): Promise<Answer> {
    const { version, org, bucket, database } = this.#place;
    if (version === 1) {
      return await this.#ask("/write", { db: database, precision: "ns" }, body, signal);
    }
    const name = version === 2 ? bucket : database ?? bucket;
    const ask2 = () =>
      this.#ask("/api/v2/write", { org, bucket: name, precision: "ns" }, body, signal);
    if (version === 2 || this.#isLikeVersion2) return await ask2();
    const query = { db: name, precision: "nanosecond" };
    const answer = await this.#ask(OWN_OF_3, query, body, signal);
    if (!isAbsent(answer)) return answer;
    const other = await ask2();
    // a wrong address has neither
    this.#isLikeVersion2 = !isAbsent(other);
    return other;
  }

  async #ask(path: string, query: InfluxDbRequest["query"], body: string, signal: AbortSignal) {
    const contentType = "text/plain; charset=utf-8";
    const request = { method: "POST", path, query, contentType, body } as const;
    const response = await this.#http.ask(request, signal);
    this.headers = response.headers;
    this.isOwnOf3 = path === OWN_OF_3;
    return await readAnswer(response);
  }
}

function isAbsent({ status, reason }: Answer): boolean {
  // VictoriaMetrics' way to say so
  return status === 404 || status === 405 || status === 400 && /^unsupported path/.test(reason);
}
