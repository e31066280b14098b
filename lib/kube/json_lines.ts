/** What {@linkcode jsonLines} may be told. */
export interface JsonLinesOptions {
  /** Characters that a line may have; etcd's limit for an object is 1.5 MB. */
  maxLine?: number;
  /** Called for every chunk that arrived, before its lines are parsed. */
  onBytes?: (count: number) => void;
}

/**
 * The values of newline-delimited JSON. It pulls: a slow reader holds the server back, and no more than one line and
 * one chunk is in memory. A last line without a line break is dropped, since it may be half of one.
 * @throws {SyntaxError} if a line is not JSON, is too long, or the bytes are not UTF-8.
 */
export async function* jsonLines(
  body: AsyncIterable<Uint8Array>,
  options: JsonLinesOptions = {},
): AsyncGenerator<unknown> {
  const { maxLine = 8 << 20, onBytes } = options;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let partial: string[] = []; // pieces of the line whose end has not come; only new text is searched for it
  let partialLength = 0;
  for await (const chunk of body) { // leaving the loop early closes the connection
    onBytes?.(chunk.length);
    const text = decode(decoder, chunk);
    let start = 0;
    for (let end: number; (end = text.indexOf("\n", start)) >= 0; start = end + 1) {
      const line = partial.length === 0 ? text.slice(start, end) : partial.join("") + text.slice(start, end);
      partial = [];
      partialLength = 0;
      if (line.length > maxLine) throw tooLong(line.length, maxLine);
      if (line !== "" && line !== "\r") yield JSON.parse(line);
    }
    if (start < text.length) {
      partial.push(text.slice(start));
      partialLength += text.length - start;
      if (partialLength > maxLine) throw tooLong(partialLength, maxLine);
    }
  }
}

function decode(decoder: TextDecoder, chunk: Uint8Array): string {
  try {
    return decoder.decode(chunk, { stream: true });
  } catch (cause) {
    throw new SyntaxError("Cannot read JSON lines: the bytes are not UTF-8", { cause });
  }
}

function tooLong(length: number, limit: number): SyntaxError {
  return new SyntaxError(`Cannot read JSON lines: a line has ${length} characters or more, the limit is ${limit}`);
}
