/**
 * How V8 is to keep the memory of both programs, wherever they are started: `deno task compile` and
 * the Dockerfiles have the same. What is new fills semi-spaces of at most 16 MB, and the rest is
 * collected once it has doubled. By itself V8 waits longer: in a flood ingest's heap went from 25 to
 * 150 MB again and again. That saves each program 80 MB then, for some 10 % more of the processor.
 * There is no room for less: in a flood Deno's own buffer of the WebSocket may double to 59 or 118 MB
 * besides. In the third of three floods a minute apart ingest takes 206 MB, and where the rest is
 * collected once it has tripled 224 MB, an eighth more than in the first.
 *
 * An event lives until it is committed, longer than most of what is new. V8 would learn that, and make
 * what holds events old from the start ("pretenuring"): dead, it keeps their texts until all is
 * collected. In a flood of 100,000 ingest collected all 19 times then, not 8 times, and both programs
 * needed a tenth more of the processor.
 */
export const V8_FLAGS =
  "--v8-flags=--max-semi-space-size=16,--heap-growing-percent=100,--no-allocation-site-pretenuring";

/**
 * No file of compiled code, which would start ingest 40 ms sooner: Deno keeps all of it in memory,
 * 6 MB, as long as the program runs. An executable would write it to the temporary folder, and run
 * what it finds there.
 */
export const NO_CODE_CACHE = "--no-code-cache";
