/** What is in an outbox that no program has open: a copy is read, so that its log stays as it is. */
import { copyFileSync, existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { TemporaryFolder } from "../temporary.ts";

export interface OutboxLines {
  readonly waiting: readonly string[];
  readonly deadLetters: readonly string[];
}

/** Throws where it cannot be read. */
export function outboxLines(path: string): OutboxLines {
  using folder = new TemporaryFolder();
  for (const suffix of ["", "-wal"]) {
    if (existsSync(path + suffix)) copyFileSync(path + suffix, folder.file(`copy${suffix}`));
  }
  using db = new DatabaseSync(folder.file("copy"));
  const lines = (table: string) =>
    db.prepare(`SELECT line FROM ${table} ORDER BY seq`).all().map(({ line }) => String(line));
  return { waiting: lines("outbox"), deadLetters: lines("dead_letter") };
}
