/** How a test against real things is declared, and what it prints. */
import { takeOutputs } from "./process.ts";

function print(text: string): void {
  const bytes = new TextEncoder().encode(`${text}\n`);
  for (let at = 0; at < bytes.length;) {
    at += Deno.stdout.writeSync(bytes.subarray(at));
  }
}

/** One line for people: what was left out, and why. */
export function note(text: string): void {
  print(`note: ${text}`);
}

/** One line for each thing measured. */
export function measured(text: string): void {
  print(`measured: ${text}`);
}

/**
 * One `Deno.test` whose parts run at the same time, each as a step: for tests that mostly wait.
 * Shows what all of them started where one fails.
 */
export function realTestsAtOnce(
  name: string,
  parts: Readonly<Record<string, () => Promise<void>>>,
): void {
  Deno.test(name, async (test) => {
    const passed = await Promise.all(
      Object.entries(parts).map(([name, fn]) =>
        // steps that run at the same time cannot be told apart by what they leave open
        test.step({ name, fn, sanitizeOps: false, sanitizeResources: false, sanitizeExit: false })
      ),
    );
    const outputs = takeOutputs();
    if (passed.includes(false)) print(outputs);
  });
}

/** `Deno.test` that shows what the started processes wrote when the test fails. */
export function realTest(name: string, test: () => Promise<void>): void {
  Deno.test(name, async () => {
    try {
      await test();
    } catch (error) {
      print(takeOutputs());
      throw error;
    } finally {
      takeOutputs();
    }
  });
}
