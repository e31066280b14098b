/** The lines of a stream of UTF-8, as they come; a carriage return ends one too, and the last one may lack its end. */
export async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split(/\r?\n|\r/);
    rest = parts.pop()!;
    yield* parts;
  }
  if (rest !== "") yield rest;
}
