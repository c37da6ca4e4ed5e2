/** Debian's Chromium, and what a page did in it. */
import { type Browser, chromium, type Page } from "playwright-core";

/** Many times what it takes: on a busy machine a browser starts slowly. */
const LIMIT_MS = 90_000;

/** How a page is looked at. */
export interface View {
  readonly colorScheme?: "light" | "dark";
  readonly width?: number;
  readonly height?: number;
  /** The SERVICE_TOKEN, which the browser gives as a password. */
  readonly token?: string;
}

export const DESK = { width: 1120, height: 900 };
export const PHONE = { width: 360, height: 740 };

export class Chromium implements AsyncDisposable {
  private constructor(private readonly browser: Browser) {}

  static async start(): Promise<Chromium> {
    return new Chromium(
      await chromium.launch({
        executablePath: "/usr/bin/chromium",
        args: [
          "--no-sandbox",
          "--disable-gpu",
          "--disable-quic",
          "--no-first-run",
          "--disable-background-networking",
          "--disable-component-update",
          "--disable-sync",
        ],
      }),
    );
  }

  /** Opens the page and waits until it is live. */
  async open(
    url: string,
    { colorScheme = "light", width = DESK.width, height = DESK.height, token }: View = {},
  ): Promise<OpenPage> {
    const context = await this.browser.newContext({
      colorScheme,
      viewport: { width, height },
      locale: "en-GB",
      timezoneId: "Europe/Berlin",
      httpCredentials: token === undefined ? undefined : { username: "me", password: token },
    });
    context.setDefaultTimeout(LIMIT_MS);
    const page = new OpenPage(await context.newPage(), new URL(url).host);
    await page.page.goto(url);
    await page.page.locator("#live").waitFor({ state: "visible" });
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser.close();
  }
}

export class OpenPage implements AsyncDisposable {
  /** What the browser's console complained of. */
  readonly complaints: string[] = [];
  /** Requests to another host than the page's own. */
  readonly elsewhere: string[] = [];

  constructor(readonly page: Page, host: string) {
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("request", (request) => {
      if (new URL(request.url()).host !== host) this.elsewhere.push(request.url());
    });
  }

  /** Waits until the element shows this. */
  async shows(selector: string, text: string | RegExp): Promise<void> {
    await this.page.locator(selector).filter({ hasText: text }).first().waitFor();
  }

  /** Kept as a file where SCREENSHOTS names a folder. */
  async screenshot(name: string): Promise<void> {
    const folder = Deno.env.get("SCREENSHOTS");
    if (folder) await this.page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  }

  /** Whether something is wider than the window. */
  async overflows(): Promise<boolean> {
    return await this.page.evaluate("document.documentElement.scrollWidth > innerWidth") === true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}
