/**
 * How V8 is to keep the memory of both programs, wherever they are started: `deno task compile` and
 * the Dockerfiles have the same. What is new fills semi-spaces of at most 32 MB, and the rest is
 * collected once it has doubled. By itself V8 waits longer: in a flood ingest's heap went from 25 to
 * 150 MB again and again. Semi-spaces of 16 MB would take 40 MB less of ingest and 25 of enrich in a
 * flood, for 6 % more of the processor.
 */
export const V8_FLAGS = "--v8-flags=--max-semi-space-size=32,--heap-growing-percent=100";
