/**
 * How V8 is to keep the memory of both programs, wherever they are started: `deno task compile` and
 * the Dockerfiles have the same. What is new fills semi-spaces of at most 16 MB, and the rest is
 * collected once it has doubled. By itself V8 waits longer: in a flood ingest's heap went from 25 to
 * 150 MB again and again. The flags save each program 80 MB then, for no more of the processor than
 * can be measured.
 */
export const V8_FLAGS = "--v8-flags=--max-semi-space-size=16,--heap-growing-percent=100";
