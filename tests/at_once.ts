/** What a program does in turns, at once. */
import type { EntityInfo } from "../lib/contract.ts";
import { Registry } from "../lib/ingest/capture/registry.ts";

/** Does all steps, and returns what comes of them. */
export function atOnce<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

export function registryFrom(...lists: Parameters<typeof Registry.steps>): Registry {
  return atOnce(Registry.steps(...lists));
}

export function changesSince(registry: Registry, previous: Registry): EntityInfo[] {
  return atOnce(registry.changeSteps(previous));
}
